"""The locks: one resolution for everybody, every file by its hash, no address in them."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from infra.paths import ROOT

LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
PIN = re.compile(r"^([a-z0-9.\-]+)==([^ ;\\]+)", re.MULTILINE)


def pins(name: str) -> set[tuple[str, str]]:
    return set(PIN.findall((ROOT / "requirements" / f"{name}.txt").read_text()))


def test_each_list_has_its_lock() -> None:
    assert {lock.stem for lock in LOCKS} == {
        source.stem for source in (ROOT / "requirements").glob("*.in")
    }


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_a_lock_pins_everything_by_hash_and_names_no_place(lock: Path) -> None:
    text = lock.read_text()
    for requirement in re.split(r"\n(?=[a-z0-9])", text.strip()):
        assert PIN.match(requirement), requirement
        assert "--hash=sha256:" in requirement
    assert "://" not in text
    assert "-url" not in text
    assert "find-links" not in text


def test_aws_runs_the_versions_that_the_local_stack_runs() -> None:
    assert pins("runtime") <= pins("stack")


def test_the_tests_run_the_versions_that_the_local_stack_runs() -> None:
    assert pins("stack") <= pins("dev")


def test_the_emulator_is_the_one_that_was_probed() -> None:
    assert ("ministack", "1.5.33") in pins("stack")


class ForTypesOnly(ast.NodeTransformer):
    """Drops what stands under `if TYPE_CHECKING:` and so never runs."""

    def visit_If(self, node: ast.If) -> ast.If | None:
        return None if ast.unparse(node.test).endswith("TYPE_CHECKING") else node


def imports_of(folder: str) -> Iterator[tuple[str, Path]]:
    for file in (ROOT / folder).rglob("*.py"):
        tree = ForTypesOnly().visit(ast.parse(file.read_text(encoding="utf-8")))
        for node in ast.walk(tree):
            match node:
                case ast.Import(names=names):
                    yield from ((name.name.partition(".")[0], file) for name in names)
                case ast.ImportFrom(module=str(module), level=0):
                    yield module.partition(".")[0], file


@pytest.mark.parametrize("folder", ["shared", "functions"])
def test_what_is_deployed_imports_only_what_the_layer_carries(folder: str) -> None:
    carried = {name.replace("-", "_") for name, _ in pins("runtime")}
    distributions = packages_distributions()
    missing = {
        f"{file.relative_to(ROOT)} imports {module}"
        for module, file in imports_of(folder)
        if module not in sys.stdlib_module_names
        and module != "florin"
        and not (ROOT / folder / module).is_dir()  # a package beside it
        and not carried.intersection(
            name.lower().replace("-", "_") for name in distributions.get(module, [])
        )
    }
    assert not missing
