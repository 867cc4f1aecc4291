"""A library for the wrong machine must be found before AWS finds it."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.wheels import WrongMachineError, check_native_code

EM_X86_64, EM_AARCH64 = 62, 183


def plant(folder: Path, name: str, machine: int) -> None:
    header = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9) + (3).to_bytes(2, "little")
    (folder / name).write_bytes(header + machine.to_bytes(2, "little") + bytes(44))


@pytest.mark.parametrize(
    "name",
    [
        "_speed.cpython-313-aarch64-linux-gnu.so",
        "_speed.abi3.so",
        "libspeed.so.1",
    ],
)
def test_a_library_for_python_3_13_on_arm64_passes(tmp_path: Path, name: str) -> None:
    plant(tmp_path, name, EM_AARCH64)
    check_native_code(tmp_path)


@pytest.mark.parametrize(
    ("name", "machine", "why"),
    [
        ("_speed.cpython-313-x86_64-linux-gnu.so", EM_X86_64, "processor 62"),
        ("_speed.cpython-313-aarch64-linux-gnu.so", EM_X86_64, "processor 62"),
        ("_speed.cpython-312-aarch64-linux-gnu.so", EM_AARCH64, "CPython 312"),
        ("_speed.cpython-313-x86_64-linux-gnu.so", EM_AARCH64, "on x86_64"),
        ("libspeed.so.1", EM_X86_64, "processor 62"),
    ],
)
def test_a_library_for_another_machine_is_named(
    tmp_path: Path, name: str, machine: int, why: str
) -> None:
    plant(tmp_path, "_good.cpython-313-aarch64-linux-gnu.so", EM_AARCH64)
    plant(tmp_path, name, machine)
    with pytest.raises(WrongMachineError, match=f"{name}: .*{why}"):
        check_native_code(tmp_path)


def test_what_is_no_library_at_all_is_named(tmp_path: Path) -> None:
    (tmp_path / "_speed.so").write_text("a placeholder of a version control system")
    with pytest.raises(WrongMachineError, match="not an ELF"):
        check_native_code(tmp_path)
