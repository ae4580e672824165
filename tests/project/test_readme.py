"""The README's Python, as printed."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from helpers import ROOT, load_picture

from dcgan_completion.settings import search as search_settings

EDGE = 64  # of the shipped model's images


def test_ten_lines_draw_faces_and_complete_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len([line for line in block.splitlines() if line]) <= 10
    # A smaller pool of first faces: the search need not go far here.
    auto = search_settings.DEFAULTS["auto"] | {"pool": 64}
    monkeypatch.setitem(search_settings.DEFAULTS, "auto", auto)
    (tmp_path / "data").symlink_to(ROOT / "data")
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "README.md", "exec"), {})
    assert {path.name for path in tmp_path.iterdir()} == {"data", "completed.png"}
    picture = load_picture(tmp_path / "completed.png").astype(int)
    assert picture.shape == (2 * EDGE, 4 * EDGE, 3)
    faces, completed = (
        row.reshape(EDGE, 4, EDGE, 3).swapaxes(0, 1) for row in (picture[:EDGE], picture[EDGE:])
    )
    hole = np.zeros([EDGE, EDGE], bool)
    hole[EDGE // 4 : -EDGE // 4, EDGE // 4 : -EDGE // 4] = True
    np.testing.assert_array_equal(completed[:, ~hole], faces[:, ~hole])
    errors = np.abs(completed - faces)[:, hole].mean(axis=(1, 2))
    others = np.abs(completed - np.roll(faces, 1, axis=0))[:, hole].mean(axis=(1, 2))
    assert (errors > 0).all()
    assert (errors < others).all()  # nearer to what was there than to another face
