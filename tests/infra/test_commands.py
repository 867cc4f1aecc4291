"""The commands: each explains itself, and a fresh machine's Python is found by running it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from infra.paths import ROOT

TARGETS = [
    "demo",
    "test",
    "check",
    "up",
    "down",
    "reload",
    "dead-letters",
    "tenant",
    "lock",
    "build",
    "clean",
    "sam",
    "sam-deploy",
]


def run(
    *command: str | Path, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def test_make_alone_explains_every_target_in_one_line() -> None:
    answer = run("make")
    explained = dict(re.findall(r"^  make ([\w-]+) +(\S.*)$", answer.stdout, re.MULTILINE))
    assert answer.returncode == 0
    assert set(TARGETS) <= explained.keys()
    assert max(map(len, answer.stdout.splitlines())) <= 100


@pytest.mark.parametrize("target", TARGETS)
def test_each_target_is_one_and_needs_nothing_done_before(target: str) -> None:
    """A dry run of a clean checkout: the venv is made before it is used."""
    steps = run("make", "--dry-run", target).stdout
    assert steps
    venv = steps.find(".venv/bin/")
    if venv >= 0 and target != "clean":
        assert 0 <= steps.find("infra/make-venv .venv") < venv


def test_ci_checks_builds_and_tests_in_that_order_with_the_tests_last() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    assert re.findall(r"^make ([\w-]+)$", script, re.MULTILINE) == ["check", "sam-deploy", "test"]
    assert script.rstrip().endswith("make test")
    assert "set -euo pipefail" in script
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_every_stage_can_be_deployed_and_no_secret_is_written_down() -> None:
    text = (ROOT / "samconfig.toml").read_text()
    config = tomllib.loads(text)
    assert config["dev"]["deploy"] == config["default"]["deploy"]
    stages = ("dev", "stage", "prod")
    for environment, stage in (("default", "dev"), *zip(stages, stages, strict=True)):
        deploy = config[environment]["deploy"]["parameters"]
        assert deploy["parameter_overrides"] == [f"Stage={stage}"]
        assert config[environment]["global"]["parameters"]["stack_name"] == f"florin-{stage}"
        assert config[environment]["build"]["parameters"]["build_in_source"]
    assert not re.search(r"secret *=|password|token|sk_|AKIA", text, re.IGNORECASE)


def fake_python(path: Path, script: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, str]:
    """A machine with a home, the basic tools, and no Python but what a test puts there."""
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    for tool in ("sh", "cat", "printf", "dirname", "basename", "cmp", "cp", "rm"):
        if found := shutil.which(tool):
            (bin_folder / tool).symlink_to(found)
    return {"PATH": str(bin_folder), "HOME": str(tmp_path / "home")}


def find(machine: dict[str, str], *versions: str) -> subprocess.CompletedProcess[str]:
    return run(ROOT / "infra" / "find-python", *versions, environment=machine)


RUNNING = f"{sys.version_info.major}.{sys.version_info.minor}"
WORKS = f'exec "{sys.executable}" "$@"'
SHIM = 'echo "pyenv: python3.13: command not found" >&2; exit 127'


def test_a_python_that_is_there_but_does_not_run_is_passed_over(
    machine: dict[str, str], tmp_path: Path
) -> None:
    fake_python(tmp_path / "bin" / "python9.9", SHIM)
    fake_python(tmp_path / "bin" / f"python{RUNNING}", WORKS)
    assert find(machine, "9.9", RUNNING).stdout.strip() == sys.executable


def test_behind_a_shim_that_fails_pyenvs_own_folder_is_searched(
    machine: dict[str, str], tmp_path: Path
) -> None:
    fake_python(tmp_path / "bin" / f"python{RUNNING}", SHIM)
    versions = tmp_path / "home" / ".pyenv" / "versions"
    fake_python(versions / f"{RUNNING}.7" / "bin" / f"python{RUNNING}", WORKS)
    assert find(machine, RUNNING).stdout.strip() == sys.executable


def test_a_python_of_another_version_than_its_name_says_is_passed_over(
    machine: dict[str, str], tmp_path: Path
) -> None:
    fake_python(tmp_path / "bin" / "python9.9", WORKS)
    answer = find(machine, "9.9")
    assert (answer.returncode, answer.stdout) == (1, "")
    assert "Install Python 3.13" in answer.stderr


def test_a_venv_is_made_once_and_again_when_its_lock_changes(tmp_path: Path) -> None:
    lock, venv = tmp_path / "set.txt", tmp_path / "venv"
    lock.write_text("# nothing to install\n")
    command = (ROOT / "infra" / "make-venv", venv, lock)

    assert "Installing set.txt" in run(*command).stderr
    (venv / "mark").touch()
    assert run(*command).stderr == ""
    assert (venv / "mark").exists()

    lock.write_text("# nothing to install, but another nothing\n")
    assert "Installing set.txt" in run(*command).stderr
    assert not (venv / "mark").exists()


def test_a_venv_whose_interpreter_is_gone_is_made_anew(tmp_path: Path) -> None:
    lock, venv = tmp_path / "set.txt", tmp_path / "venv"
    lock.write_text("# nothing to install\n")
    command = (ROOT / "infra" / "make-venv", venv, lock)
    run(*command)
    (venv / "bin" / "python").unlink()
    assert "Installing set.txt" in run(*command).stderr
    assert run(venv / "bin" / "python", "-c", "").returncode == 0
