"""docs/notebook.ipynb: its cells run, and give what it shows."""

from __future__ import annotations

import nbclient
import nbformat
import pytest
from helpers import ROOT


def outputs_of(notebook: dict) -> list[list[str]]:
    """For each cell the kinds of its results, and the text of what is no picture."""
    return [
        [
            output["output_type"]
            if "image/png" in output.get("data", {})
            else str(output.get("data", {}).get("text/plain", ""))
            for output in cell.get("outputs", [])
            if output["output_type"] != "stream"
        ]
        for cell in notebook["cells"]
    ]


@pytest.mark.slow
def test_the_notebook_runs_as_it_is_shown() -> None:
    shown = nbformat.read(ROOT / "docs" / "notebook.ipynb", as_version=4)
    assert len(shown.cells) == 10
    again = nbformat.from_dict(shown)
    nbclient.NotebookClient(
        again, timeout=600, resources={"metadata": {"path": str(ROOT)}}
    ).execute()
    assert outputs_of(again) == outputs_of(shown)
    assert sum("execute_result" in kinds for kinds in outputs_of(shown)) == 8
