"""The layer: what is in it, for whom, and that building it twice gives the same."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra import build
from infra.api_document import served
from infra.api_page import rendered
from infra.archive import zip_folder
from infra.build import SERVICES, BuildError, Target, build_layer, prune_botocore
from infra.paths import OPENAPI, ROOT, RUNTIME_LOCK
from infra.wheels import check_native_code

DOCUMENT = served(OPENAPI.read_text(encoding="utf-8"))
UNCHECKED_HASH = 0b01  # the second word of a .pyc: by hash, and not to be checked


@pytest.fixture(scope="module")
def aws_layer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("aws") / "python"
    try:
        build_layer(Target.AWS, out)
    except subprocess.CalledProcessError:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip("the wheels of the layer could not be fetched")
    return out


def test_the_aws_layer_holds_what_is_locked_and_only_that(aws_layer: Path) -> None:
    locked = {
        line.partition(" ")[0].replace("-", "_")
        for line in RUNTIME_LOCK.read_text().splitlines()
        if "==" in line
    }
    held = {
        path.name.removesuffix(".dist-info").replace("-", "==")
        for path in aws_layer.glob("*.dist-info")
    }
    assert held == locked


def test_the_aws_layer_runs_on_python_3_13_on_arm64(aws_layer: Path) -> None:
    check_native_code(aws_layer)
    bytecode = {path.name.split(".")[-2] for path in aws_layer.rglob("*.pyc")}
    assert bytecode <= {"cpython-313"}
    if os.environ.get("CI") == "true":
        assert bytecode


def test_the_aws_layer_is_the_same_bytes_when_built_again(aws_layer: Path, tmp_path: Path) -> None:
    build_layer(Target.AWS, tmp_path / "again")
    assert zip_folder(tmp_path / "again", bytecode=True) == zip_folder(aws_layer, bytecode=True)


def test_the_aws_layer_makes_each_client_and_no_other(aws_layer: Path) -> None:
    script = """
import sys, botocore.session
session = botocore.session.get_session()
for service in session.get_available_services():
    session.create_client(service, region_name="eu-central-1")
print(botocore.__file__, *session.get_available_services())
"""
    answer = subprocess.run(
        [
            sys.executable,
            "-I",
            "-c",
            f"import sys; sys.path.insert(0, {str(aws_layer)!r})" + script,
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    origin, *services = answer.stdout.split()
    assert Path(origin).is_relative_to(aws_layer)
    assert sorted(services) == sorted(SERVICES)


def test_bytecode_is_loaded_without_a_look_at_the_source(tmp_path: Path) -> None:
    build_layer(Target.LOCAL, tmp_path / "layer")
    compiled = list((tmp_path / "layer").rglob("*.pyc"))
    assert compiled
    for file in compiled:
        magic, flags = file.read_bytes()[:4], int.from_bytes(file.read_bytes()[4:8], "little")
        assert magic == importlib.util.MAGIC_NUMBER
        assert flags == UNCHECKED_HASH


def test_tracebacks_name_the_place_in_lambda_and_not_the_one_it_was_built_in(
    tmp_path: Path,
) -> None:
    build_layer(Target.LOCAL, tmp_path / "layer")
    for file in (tmp_path / "layer").rglob("*.pyc"):
        assert str(tmp_path).encode() not in file.read_bytes()


def test_a_build_replaces_what_an_older_one_left(tmp_path: Path) -> None:
    (tmp_path / "layer").mkdir()
    (tmp_path / "layer" / "leftover.py").touch()
    build_layer(Target.LOCAL, tmp_path / "layer")
    assert not (tmp_path / "layer" / "leftover.py").exists()


def test_the_layer_carries_the_api_document_and_its_page(tmp_path: Path) -> None:
    build_layer(Target.LOCAL, tmp_path / "layer")
    edge = tmp_path / "layer" / "florin" / "edge"
    assert json.loads((edge / "openapi.json").read_text()) == DOCUMENT
    page = rendered(DOCUMENT)
    assert (edge / "docs.html").read_text() == page.html
    assert (edge / "docs.csp").read_text() == page.policy


def test_a_service_that_botocore_does_not_know_fails_the_build(tmp_path: Path) -> None:
    data = tmp_path / "botocore" / "data"
    data.mkdir(parents=True)
    with pytest.raises(BuildError, match="dynamodb"):
        prune_botocore(tmp_path / "botocore")


@pytest.mark.parametrize(("ci", "is_error"), [("true", True), ("", False)])
def test_only_ci_insists_on_python_3_13(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], ci: str, is_error: bool
) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(build, "AWS_PYTHON", "3.99")
    if is_error:
        with pytest.raises(BuildError, match=r"3\.99 is not installed"):
            build.bytecode_interpreter(Target.AWS)
    else:
        assert build.bytecode_interpreter(Target.AWS) is None
        assert "3.99 is not installed" in capsys.readouterr().err


def clients_made_by_the_code() -> Iterator[tuple[str, str]]:
    for folder in ("shared", "functions"):
        for file in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                match node:
                    case ast.Call(
                        func=ast.Attribute(attr="client" | "create_client")
                        | ast.Name(id="client" | "create_client"),
                        args=[ast.Constant(value=str(service)), *_],
                    ):
                        yield service, file.name


def test_the_layer_keeps_the_data_of_every_client_that_the_code_makes() -> None:
    made = dict(clients_made_by_the_code())
    assert made.keys() <= set(SERVICES), made
