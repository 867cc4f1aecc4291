"""Zip files that depend on nothing but their content: same folder, same bytes."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

# The oldest moment a zip can name; real times would make every build differ.
EPOCH = (1980, 1, 1, 0, 0, 0)
FILE_MODE = 0o644
NEVER_SHIPPED = {"__pycache__", ".DS_Store", ".mypy_cache", ".ruff_cache", ".pytest_cache"}


def zip_folder(folder: Path, *, prefix: str = "", bytecode: bool = False) -> bytes:
    """Zip what is in `folder`, below `prefix`; `bytecode` keeps `__pycache__`, for a built tree."""
    skipped = NEVER_SHIPPED - {"__pycache__"} if bytecode else NEVER_SHIPPED
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*"), key=lambda path: path.relative_to(folder).as_posix()):
            name = path.relative_to(folder)
            if path.is_dir() or skipped.intersection(name.parts):
                continue
            entry = zipfile.ZipInfo(prefix + name.as_posix(), EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, wherever it was built
            entry.external_attr = FILE_MODE << 16
            archive.writestr(entry, path.read_bytes())
    return buffer.getvalue()
