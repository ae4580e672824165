"""The quality gate, but for the evaluation itself, which takes minutes and needs faces."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest
from helpers import contents

from benchmarks import quality
from dcgan_completion.utils import UserError


def names_of(kind: str) -> list[str]:
    return (quality.HERE / f"quality-{kind}.txt").read_text().split()


def test_without_faces_there_is_one_line_and_status_3(capsys: pytest.CaptureFixture[str]) -> None:
    assert quality.main([]) == 3
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "make quality FACES=DIR" in err


def test_photos_come_from_folders_or_archives(tmp_path: Path) -> None:
    names = names_of("photos")
    assert (len(set(names)), len(set(names_of("faces")))) == (24, 64)
    assert not set(names) & set(names_of("faces"))
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    quality.gather(tmp_path, "quality-photos.txt", tmp_path / "one")
    for archive in ("lfw-raw-150", "congress-raw"):
        with tarfile.open(tmp_path / f"{archive}.tar", "w") as packed:
            packed.add(tmp_path / archive, ".")
        (tmp_path / archive).rename(tmp_path / f"{archive}-unpacked")
    quality.gather(tmp_path, "quality-photos.txt", tmp_path / "two")
    expected = {Path(name).name: name.encode() for name in names}
    assert contents(tmp_path / "one") == contents(tmp_path / "two") == expected
    with pytest.raises(UserError, match=r"FACES .*: the photos of lfw-raw-150 are missing"):
        quality.gather(tmp_path / "one", "quality-photos.txt", tmp_path / "three")


def test_the_table_stands_beside_that_of_30362c9(capsys: pytest.CaptureFixture[str]) -> None:
    before = json.loads(quality.REFERENCE.read_text())
    assert before["git_commit"].startswith("30362c9")
    now = json.loads(json.dumps(before))
    now["holes"]["photos, nose"]["auto"]["psnr"] = 99
    quality.print_table(now, before)
    *_, last = capsys.readouterr().out.splitlines()
    holes = before["holes"].values()
    means = {m: sum(hole[m]["psnr"] for hole in holes) / len(holes) for m in ("auto", "direct")}
    gain = (99 - before["holes"]["photos, nose"]["auto"]["psnr"]) / len(holes)
    assert f"auto psnr {means['auto'] + gain:.3f} ({means['auto']:.3f})" in last
    assert f"direct psnr {means['direct']:.3f} ({means['direct']:.3f})" in last
