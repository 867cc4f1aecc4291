"""The contract that keeps the domain pure must itself be able to break."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from infra.paths import ROOT

CONFIGURATION = """
[importlinter]
root_package = shop
include_external_packages = True
contract_types =
    standard_library_only: infra.import_contracts.StandardLibraryOnly

[importlinter:contract:pure]
name = Pure
type = standard_library_only
package = shop.domain
"""


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("import decimal, collections.abc", True),
        ("from shop.domain import other", True),
        ("import botocore.session", False),
        ("from msgspec import json", False),
        ("from shop import adapters", False),
    ],
)
def test_only_the_standard_library_and_itself_are_allowed(
    tmp_path: Path, line: str, kept: bool
) -> None:
    for module in ("shop", "shop/domain"):
        (tmp_path / module).mkdir()
        (tmp_path / module / "__init__.py").touch()
    (tmp_path / "shop" / "adapters.py").touch()
    (tmp_path / "shop" / "domain" / "other.py").touch()
    (tmp_path / "shop" / "domain" / "money.py").write_text(line + "\n")
    (tmp_path / "contracts.ini").write_text(CONFIGURATION)

    answer = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--config", "contracts.ini", "--no-cache"],
        cwd=tmp_path,
        env={"PYTHONPATH": f"{tmp_path}:{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (answer.returncode == 0) == kept, answer.stdout
    if not kept:
        assert "shop.domain.money ->" in answer.stdout
