"""What runs on GitHub: pinned, with few permissions, and with no key of AWS anywhere."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from infra.paths import ROOT
from infra.sam_local import EVENTS, FUNCTIONS, KEY, TENANT

FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TEXTS = {file.stem: file.read_text(encoding="utf-8") for file in FILES}
WORKFLOWS: dict[str, dict[Any, Any]] = {name: yaml.safe_load(text) for name, text in TEXTS.items()}
PINNED = re.compile(r"uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")


def jobs() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, workflow in WORKFLOWS.items():
        for job, described in workflow["jobs"].items():
            yield f"{name}.{job}", described


JOBS = dict(jobs())


@pytest.mark.parametrize("name", TEXTS)
def test_what_others_wrote_is_pinned_by_its_commit(name: str) -> None:
    uses = [line.strip(" -") for line in TEXTS[name].splitlines() if "uses:" in line]
    assert uses
    assert [line for line in uses if not PINNED.match(line)] == []


@pytest.mark.parametrize("name", TEXTS)
def test_there_is_no_secret_and_little_permission(name: str) -> None:
    assert not re.search(r"secrets\.|AKIA|aws-secret|access-key", TEXTS[name])
    assert WORKFLOWS[name]["permissions"] == {"contents": "read"}
    assert "pull_request_target" not in TEXTS[name]
    for _, job in jobs():
        assert job.get("permissions", {}).keys() <= {"contents", "id-token"}


@pytest.mark.parametrize("name", JOBS)
def test_a_job_ends_and_leaves_no_credentials_behind(name: str) -> None:
    job = JOBS[name]
    assert 0 < job["timeout-minutes"] <= 60
    (checkout,) = (step for step in job["steps"] if "checkout" in step.get("uses", ""))
    assert checkout["with"]["persist-credentials"] is False


def test_only_a_deployment_gets_an_identity_and_somebody_approves_it() -> None:
    with_identity = {name for name, job in JOBS.items() if "id-token" in job.get("permissions", {})}
    assert with_identity == {"deploy.deploy"}
    deploy = JOBS["deploy.deploy"]
    assert deploy["environment"] == "${{ inputs.stage }}"
    assert deploy["needs"] == "check", "what is deployed has passed"
    assert deploy["env"]["RELEASE"]
    # YAML reads the key `on` as a truth.
    assert WORKFLOWS["deploy"][True].keys() == {"workflow_dispatch"}
    assert WORKFLOWS["deploy"]["concurrency"]["cancel-in-progress"] is False


def test_what_somebody_typed_in_reaches_no_shell_as_it_is() -> None:
    for name, job in JOBS.items():
        for step in job["steps"]:
            assert "${{" not in step.get("run", ""), name


def test_a_workflow_calls_commands_that_there_are() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for text in TEXTS.values():
        for target in re.findall(r"run: make ([\w-]+)", text):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_event_has_its_function() -> None:
    assert {file.stem for file in EVENTS.glob("*.json")} == FUNCTIONS.keys()


def test_the_events_name_whom_a_stack_puts_its_own_in_place_of() -> None:
    for file in EVENTS.glob("*.json"):
        event = json.loads(file.read_text(encoding="utf-8"))
        context = event["requestContext"].get("authorizer", {"tenant_id": TENANT})
        assert context["tenant_id"] == TENANT
        if "methodArn" in event:
            assert event["headers"]["Authorization"] == f"Bearer {KEY}"
