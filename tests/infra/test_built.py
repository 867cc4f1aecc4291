"""What `make sam-deploy` does to what was built, which is as little as it can."""

import importlib.metadata
import json
import shutil
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import msgspec
import pytest

from infra.build import name_release
from infra.built import BuiltError, main, swap_native_code
from infra.sam_local import fault_of

FOREIGN = "_core.cpython-399-sparc-linux-gnu.so"
VERSION = importlib.metadata.version("msgspec")


@pytest.fixture
def layer(tmp_path: Path) -> Path:
    """A layer whose one native module is for a machine that nobody has."""
    package = tmp_path / "python" / "msgspec"
    package.mkdir(parents=True)
    (package / FOREIGN).write_bytes(b"\x7fELF for another machine")
    (package / "__init__.py").write_text("")
    (tmp_path / "python" / f"msgspec-{VERSION}.dist-info").mkdir()
    return tmp_path / "python"


def native(layer: Path) -> list[str]:
    return [file.name for file in layer.rglob("*.so")]


def test_a_native_module_of_another_machine_is_swapped_for_ours_and_told(layer: Path) -> None:
    assert swap_native_code(layer) == [f"msgspec/{FOREIGN}"]
    (ours,) = native(layer)
    assert ours.removeprefix("_core") in EXTENSION_SUFFIXES
    here = Path(str(msgspec.__file__)).parent / ours
    assert (layer / "msgspec" / ours).read_bytes() == here.read_bytes()


def test_what_runs_here_stays_as_it_was_built(layer: Path) -> None:
    (layer / "msgspec" / FOREIGN).unlink()
    ours = layer / "msgspec" / f"_core{EXTENSION_SUFFIXES[0]}"
    ours.write_bytes(b"as it was built")
    assert swap_native_code(layer) == []
    assert ours.read_bytes() == b"as it was built"


def test_another_release_is_never_put_in_its_place(layer: Path) -> None:
    shutil.move(layer / f"msgspec-{VERSION}.dist-info", layer / "msgspec-0.0.1.dist-info")
    with pytest.raises(BuiltError, match="another msgspec"):
        swap_native_code(layer)
    assert native(layer) == [FOREIGN]


def test_in_ci_there_is_something_to_deploy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("CI", raising=False)
    main(tmp_path)
    assert "nothing to deploy" in capsys.readouterr().err
    monkeypatch.setenv("CI", "true")
    with pytest.raises(BuiltError):
        main(tmp_path)


def test_a_release_that_has_a_name_is_another_layer(tmp_path: Path) -> None:
    (tmp_path / "florin").mkdir()
    name_release(tmp_path, "")
    assert list((tmp_path / "florin").iterdir()) == [], "without a name the same source is the same"
    name_release(tmp_path, "412.1")
    (named,) = (tmp_path / "florin").iterdir()
    assert named.read_text() == "412.1\n"


@pytest.mark.parametrize(
    ("name", "answer", "is_right"),
    [
        ("authorize_request", {"policyDocument": {"Statement": [{"Effect": "Allow"}]}}, True),
        ("authorize_request", {"policyDocument": {"Statement": [{"Effect": "Deny"}]}}, False),
        ("authorize_request", {"errorMessage": "Unauthorized"}, False),
        ("get_payment", {"statusCode": 404, "body": json.dumps({"error": {"code": "x"}})}, True),
        ("get_payment", {"statusCode": 404, "body": "{}"}, False),
        ("get_payment", {"statusCode": 500, "body": json.dumps({"error": {"code": "x"}})}, False),
        ("post_payment", {"errorType": "Runtime.ImportModuleError"}, False),
    ],
)
def test_an_answer_is_judged(name: str, answer: dict[str, object], is_right: bool) -> None:
    assert (fault_of(name, answer) is None) == is_right
