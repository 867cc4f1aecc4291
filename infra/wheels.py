"""Is the native code of an artefact for the machine that will run it?

A wheel for the wrong processor installs without a word and fails at import, on AWS, at night.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path

EM_AARCH64 = 183
ELF_MACHINE_OFFSET = 18
CPYTHON_TAG = re.compile(r"\.cpython-(\d+)-(\w+?)-")
EXPECTED_TAG = ("313", "aarch64")


class WrongMachineError(Exception):
    """Native code that Lambda (Python 3.13 on arm64) cannot load."""


def check_native_code(folder: Path) -> None:
    faults = [
        f"{path.relative_to(folder)}: {fault}"
        for path in sorted(folder.rglob("*.so*"))
        if (fault := fault_of(path))
    ]
    if faults:
        raise WrongMachineError("not for Python 3.13 on arm64:\n  " + "\n  ".join(faults))


def fault_of(library: Path) -> str | None:
    """What is wrong with this library, if anything."""
    header = library.read_bytes()[: ELF_MACHINE_OFFSET + 2]
    if len(header) < ELF_MACHINE_OFFSET + 2 or not header.startswith(b"\x7fELF"):
        return "not an ELF library"
    (machine,) = struct.unpack_from("<H", header, ELF_MACHINE_OFFSET)
    if machine != EM_AARCH64:
        return f"built for processor {machine}, not aarch64"
    tag = CPYTHON_TAG.search(library.name)
    if tag and tag.groups() != EXPECTED_TAG:  # abi3 and plain libraries carry no such tag
        return f"built for CPython {tag[1]} on {tag[2]}"
    return None
