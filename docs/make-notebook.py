"""Writes docs/notebook.ipynb: its cells, executed. Run from the checkout after pip install -r requirements-dev.txt."""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbclient import NotebookClient

CELLS = [
    "# Faces, holes and completions\n\nThe toolkit as a library. The first call loads TensorFlow and the model "
    "that ships (for non-commercial research only), which takes some seconds.",
    "import numpy as np\nfrom PIL import Image\n\nimport dcgan_completion\nfrom dcgan_completion import Generator, "
    "Inpainter, Mask, PhotoInpainter, align\n\ndcgan_completion.__version__",
    "def row(pictures, scale=2):\n    \"\"\"Pictures side by side, enlarged.\"\"\"\n    strip = np.concatenate("
    "[np.asarray(p) for p in pictures], axis=1)\n    return Image.fromarray(strip).resize((scale * strip.shape[1], "
    "scale * strip.shape[0]), 0)\n\ngenerator = Generator.from_pretrained()\nfaces = generator.sample(6, seed=0, "
    "return_type=\"numpy\")  # uint8 [6, 64, 64, 3]\nrow(faces)",
    "# 1, True or white is the hole; one mask serves all images\nmask = np.zeros([64, 64], bool)\nmask[22:44, 14:50] "
    "= True\nrow([np.where(mask[..., None], 255, face) for face in faces])",
    "inpainter = Inpainter.from_pretrained()\nresult = inpainter(faces, mask, seed=0)\nrow(result.images)",
    "# The candidates, before blending, and the completion loss of each\nprint(result.losses[:, 0].round(1))\n"
    "row(np.uint8(np.rint(255 * result.candidates[:, 0])))",
    "# Four different completions of one face; a callback follows the search and could stop it\nsteps = []\n"
    "four = inpainter(faces[0], mask, samples=4, callback=lambda step, losses, images: steps.append(step))\n"
    "print(steps)\nrow(four.samples[0])",
    "# A walk through the latent space, and what no picture of a mask can say: nothing is known but averages\n"
    "z = generator.z(2, seed=5)\nwalk = generator.images(np.linspace(z[0], z[1], 6), return_type=\"numpy\")\n"
    "row([*walk, *inpainter(walk[:2], Mask.lowres()).images])",
    "# Faces of a photo, aligned: a portrait in the public domain (NASA)\nfrom dcgan_completion.photos import portraits"
    "\n\nphoto = portraits.eileen_collins()\naligned, matrices = align(photo)\nrow(aligned)",
    "# The photo itself, at its own size\nhole = np.zeros(photo.shape[:2], bool)\nhole[125:165, 195:255] = True\n"
    "repaired = PhotoInpainter.from_pretrained()(photo, hole, approach=\"direct\")\nbefore = np.where(hole[..., None], "
    "255, photo)\nrow([before[60:260, 130:330], np.asarray(repaired.image)[60:260, 130:330]], 1)",
]


def main() -> None:
    """Write and execute the notebook."""
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [
        nbformat.v4.new_markdown_cell(text, id=f"cell-{i}")
        if text.startswith("# Faces")
        else nbformat.v4.new_code_cell(text, id=f"cell-{i}")
        for i, text in enumerate(CELLS)
    ]
    root = Path(__file__).resolve().parents[1]
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(root)}}).execute()
    nbformat.write(notebook, root / "docs" / "notebook.ipynb")


if __name__ == "__main__":
    main()
