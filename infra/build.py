"""Build the Lambda layer, for the interpreter at hand or for AWS.

    python -m infra.build --target local|aws --out DIRECTORY

One recipe for both, so that a laptop runs what AWS runs: the package `florin`, the API
document as JSON, bytecode that needs no check against the source. The `aws` target adds the
pinned dependencies as wheels for Python 3.13 on arm64, fetched without a container; locally
the virtual environment holds the very same versions already.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml

from infra.paths import OPENAPI, ROOT, RUNTIME_LOCK, SHARED
from infra.wheels import check_native_code

AWS_PYTHON = "3.13"
AWS_PLATFORMS = ("manylinux2014_aarch64", "manylinux_2_28_aarch64")
LAYER_PATH = "/opt/python"

# botocore carries a description of every AWS service, 25 MB; these are the ones we call.
# `make check` does not know them: tests/infra compares this list with the clients in the code.
SERVICES = (
    "dynamodb",
    "events",
    "kms",
    "lambda",
    "s3",
    "secretsmanager",
    "sqs",
    "stepfunctions",
)
BOTOCORE_COMMON = (
    "_retry.json",
    "endpoints.json",
    "partitions.json",
    "sdk-default-configuration.json",
)


class Target(StrEnum):
    LOCAL = "local"
    AWS = "aws"


class BuildError(Exception):
    """The layer cannot be built as asked; the message says what to do."""


def build_layer(target: Target, out: Path) -> None:
    """Fill `out` with what stands under `python/` in the layer."""
    if out.exists():
        shutil.rmtree(out)
    out.mkdir(parents=True)
    if target is Target.AWS:
        _install_dependencies(out)
        prune_botocore(out / "botocore")
    _copy_package(out)
    if OPENAPI.exists():
        document = api_document(OPENAPI.read_text(encoding="utf-8"))
        (out / "florin" / "edge" / "openapi.json").write_text(document, encoding="utf-8")
    _compile(target, out)
    if target is Target.AWS:
        check_native_code(out)


GATEWAY_KEY = "GatewayKey"
"""The document's name for what the authorizer says to the gateway, and no caller does."""


def api_document(source: str) -> str:
    """The API document for its readers: JSON, without what only API Gateway understands."""
    return json.dumps(_without_gateway_keys(yaml.safe_load(source)), indent=1) + "\n"


def _without_gateway_keys(node: Any) -> Any:
    if isinstance(node, dict):
        return {
            key: _without_gateway_keys(value)
            for key, value in node.items()
            if not str(key).startswith("x-amazon-") and key != GATEWAY_KEY
        }
    if isinstance(node, list):
        return [_without_gateway_keys(value) for value in node]
    return node


def prune_botocore(botocore: Path) -> None:
    """Drop the services we do not call, and the examples of those we do."""
    kept = {*SERVICES, *BOTOCORE_COMMON}
    data = botocore / "data"
    missing = kept - {path.name for path in data.iterdir()}
    if missing:
        raise BuildError(f"this botocore does not have {', '.join(sorted(missing))}")
    for path in data.iterdir():
        if path.name in kept:
            continue
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in data.glob("*/*/examples-1.json"):
        path.unlink()


def _copy_package(out: Path) -> None:
    shutil.copytree(
        SHARED / "florin", out / "florin", ignore=shutil.ignore_patterns("__pycache__", "*.pyc")
    )


def _install_dependencies(out: Path) -> None:
    command = [
        *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
        *("--no-input", "--no-deps", "--no-compile", "--require-hashes"),
        *("--only-binary=:all:", "--implementation", "cp", "--python-version", AWS_PYTHON),
        *(f"--platform={platform}" for platform in AWS_PLATFORMS),
        *("--target", str(out), "-r", str(RUNTIME_LOCK)),
    ]
    # Nothing goes to standard output: `sam build` reads its builders' output as a protocol.
    subprocess.run(command, check=True, stdout=sys.stderr)
    shutil.rmtree(out / "bin", ignore_errors=True)  # scripts name the interpreter that built them


def _compile(target: Target, out: Path) -> None:
    """Write bytecode that is loaded unchecked: unpacking a zip changes every file's time."""
    python = bytecode_interpreter(target)
    if python is None:
        return
    command = [
        *(python, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"),
        # Tracebacks name the place in Lambda, not the folder it was built in.
        *("-s", str(out), "-p", LAYER_PATH, str(out)),
    ]
    # A fixed hash seed and no state of this process: the same source gives the same bytes.
    environment = {"PATH": os.defpath, "PYTHONHASHSEED": "0"}
    subprocess.run(command, check=True, stdout=sys.stderr, env=environment)


def bytecode_interpreter(target: Target) -> str | None:
    """Bytecode belongs to one version of Python: ours locally, 3.13 on AWS."""
    running = f"{sys.version_info.major}.{sys.version_info.minor}"
    if target is Target.LOCAL or running == AWS_PYTHON:
        return sys.executable
    found = subprocess.run(
        [str(ROOT / "infra" / "find-python"), AWS_PYTHON],
        capture_output=True,
        text=True,
        check=False,
    )
    if found.returncode == 0:
        return found.stdout.strip()
    lack = f"Python {AWS_PYTHON} is not installed, so the layer carries no bytecode"
    if os.environ.get("CI") == "true":
        raise BuildError(f"{lack}; a release needs it.")
    print(f"Note: {lack}. It works; cold starts take longer.", file=sys.stderr)
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the Lambda layer.")
    parser.add_argument("--target", type=Target, choices=list(Target), required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    try:
        build_layer(arguments.target, arguments.out.resolve())
    except BuildError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
