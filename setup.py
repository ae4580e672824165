"""Installs the toolkit as commands; see launcher.py for why the modules go into one folder."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOMS = ("alignment", "training", "completion", "metrics", "photos", "serving", "latent")
COMMANDS = (
    "align",
    "train",
    "train-context-encoder",
    "sample",
    "complete",
    "complete-photo",
    "serve",
    "evaluate",
    "distributions",
)


class BuildPackage(build_py):
    """Takes the flat top level as the package, but for this file."""

    def find_package_modules(self, package, package_dir):  # noqa: D102
        modules = super().find_package_modules(package, package_dir)
        return [module for module in modules if Path(module[2]).name != "setup.py"]


setup(
    name="dcgan-completion",
    version="0.1.0",
    description="Learn what faces look like and fill in the missing parts of a face photo",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT (code); the weights in data/pretrained: non-commercial research only",
    license_files=["LICENSE", "data/pretrained/LICENSE"],
    python_requires=">=3.11",
    packages=["dcgan_completion", *(f"dcgan_completion.{room}" for room in ROOMS)],
    package_dir={"dcgan_completion": "."},
    package_data={
        "dcgan_completion": ["data/pretrained/*", "data/pretrained/context-encoder/*", "page/*"]
    },
    cmdclass={"build_py": BuildPackage},
    install_requires=[
        "dlib-bin>=19.24.6",
        "face_recognition_models>=0.3",
        "keras>=3.10",
        "matplotlib>=3.9",
        "numpy>=2.0",
        "opencv-python-headless>=4.10",
        "pillow>=11.0",
        "scikit-image>=0.25",
        "scipy>=1.14",
        "tensorboard>=2.20",
        "tensorflow>=2.21,<2.22",
        "tqdm>=4.66",
        "werkzeug>=3.1",
    ],
    extras_require={
        "cuda": ["tensorflow[and-cuda]>=2.21,<2.22"],
        "dev": [
            "build>=1.2",
            "hypothesis>=6.100",
            "pytest>=8.0",
            "pytest-xdist>=3.6",
            "ruff>=0.17",
            "selenium>=4.20",
        ],
    },
    entry_points={
        "console_scripts": [
            f"dcgan-{command} = dcgan_completion.launcher:{command.replace('-', '_')}"
            for command in COMMANDS
        ]
    },
    classifiers=[
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Image Processing",
    ],
)
