"""Builds are compared by their bytes, so a zip may depend on nothing but content."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

from infra.archive import zip_folder


def fill(folder: Path, names: list[str]) -> Path:
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"content of {name}")
    return folder


def names_in(archive: bytes) -> list[str]:
    return zipfile.ZipFile(io.BytesIO(archive)).namelist()


def test_same_content_gives_same_bytes_whenever_and_however_it_was_written(tmp_path: Path) -> None:
    one = fill(tmp_path / "one", ["b.py", "a/z.py", "a.py"])
    two = fill(tmp_path / "two", ["a.py", "a/z.py", "b.py"])
    os.utime(two / "a.py", (86_400 * 365 * 20, 86_400 * 365 * 20))
    (two / "b.py").chmod(0o755)

    assert zip_folder(one) == zip_folder(two)


def test_other_content_gives_other_bytes(tmp_path: Path) -> None:
    folder = fill(tmp_path, ["a.py"])
    before = zip_folder(folder)
    (folder / "a.py").write_text("changed")
    assert zip_folder(folder) != before


def test_a_source_folder_is_shipped_without_what_tools_left_in_it(tmp_path: Path) -> None:
    folder = fill(tmp_path, ["a.py", "__pycache__/a.cpython-313.pyc", "sub/.mypy_cache/x.json"])
    assert names_in(zip_folder(folder)) == ["a.py"]


def test_a_built_tree_keeps_its_bytecode(tmp_path: Path) -> None:
    folder = fill(tmp_path, ["a.py", "__pycache__/a.cpython-313.pyc"])
    assert names_in(zip_folder(folder, prefix="python/", bytecode=True)) == [
        "python/__pycache__/a.cpython-313.pyc",
        "python/a.py",
    ]


def test_files_can_be_read_by_the_user_that_lambda_runs_as(tmp_path: Path) -> None:
    folder = fill(tmp_path, ["a.py"])
    (folder / "a.py").chmod(0o600)
    (entry,) = zipfile.ZipFile(io.BytesIO(zip_folder(folder))).infolist()
    assert entry.external_attr >> 16 == 0o644
