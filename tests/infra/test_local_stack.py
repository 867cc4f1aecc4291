"""A stack of its own on a small template: up, used, reloaded, killed, down."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from infra.build import Target
from infra.local import Stack, lifecycle, running_stack
from infra.local.deploy import DeployError
from infra.local.emulator import StackError, free_port, start
from infra.local.processes import stack_processes
from infra.paths import ROOT

TRIAL = Path(__file__).parent / "trial"
RELOAD_BUDGET_S = 10.0


@pytest.fixture
def application(tmp_path: Path) -> Path:
    """A copy of the trial application, to be changed at will; its template."""
    folder = tmp_path / "application"
    shutil.copytree(TRIAL, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder / "template.yaml"


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """Where a test's own stack keeps its state; taken down whatever becomes of the test."""
    folder = tmp_path / "state"
    yield folder
    lifecycle.down(folder)


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with running_stack(template=TRIAL / "template.yaml") as running:
        yield running


def greeting(stack: Stack) -> dict[str, Any]:
    with urllib.request.urlopen(f"{stack.api_url}/greeting", timeout=10) as answer:  # noqa: S310
        body: dict[str, Any] = json.load(answer)
        return body


def eventually(look: Callable[[], Any], *, within_s: float = 10.0) -> Any:
    deadline = time.monotonic() + within_s
    while not (seen := look()):
        assert time.monotonic() < deadline, f"not seen within {within_s} s"
        time.sleep(0.05)
    return seen


def test_the_api_answers_from_the_layer(stack: Stack) -> None:
    answer = greeting(stack)
    assert answer["says"] == "Buongiorno"
    assert "layer_0/python/florin" in answer["florin"]


def test_a_state_machine_runs_the_function(stack: Stack) -> None:
    machines = stack.client("stepfunctions")
    arn = machines.start_execution(stateMachineArn=stack.state_machines["standard"])["executionArn"]
    execution = eventually(
        lambda: (
            (found := machines.describe_execution(executionArn=arn))["status"] != "RUNNING"
            and found
        )
    )
    assert "Buongiorno" in execution["output"]


def test_the_seeds_came_through_the_stream_into_the_queue(stack: Stack) -> None:
    queue = stack.client("sqs")
    seen: set[str] = set()

    def look() -> bool:
        found = queue.receive_message(
            QueueUrl=stack.queues["analytics"], MaxNumberOfMessages=10, WaitTimeSeconds=1
        )
        seen.update(message["Body"] for message in found.get("Messages", []))
        return "provider#simulator" in seen

    eventually(look)
    assert {f"tenant#{tenant.tenant_id}" for tenant in stack.tenants} < seen


def test_who_comes_as_a_role_may_do_what_the_role_allows(stack: Stack) -> None:
    iam = stack.client("iam")
    trusted = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    asked = {"Effect": "Allow", "Action": "dynamodb:ListTables", "Resource": "*"}
    role = iam.create_role(
        RoleName="clerk", AssumeRolePolicyDocument=json.dumps({"Statement": [trusted]})
    )["Role"]
    key = stack.client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="clerk")
    clerk = boto3.session.Session(
        aws_access_key_id=key["Credentials"]["AccessKeyId"],
        aws_secret_access_key=key["Credentials"]["SecretAccessKey"],
        aws_session_token=key["Credentials"]["SessionToken"],
        region_name=stack.region,
    ).client("dynamodb", endpoint_url=stack.endpoint_url)
    with pytest.raises(ClientError, match="AccessDenied"):
        clerk.list_tables()
    iam.put_role_policy(
        RoleName="clerk", PolicyName="reads", PolicyDocument=json.dumps({"Statement": [asked]})
    )
    assert clerk.list_tables()["TableNames"]


def test_a_nested_template_is_packaged_too(stack: Stack) -> None:
    assert stack.client("sqs").get_queue_attributes(QueueUrl=stack.queues["nested"])


def test_addresses_are_local_and_the_stage_is_dev(stack: Stack) -> None:
    assert stack.api_url.startswith(f"{stack.endpoint_url}/_aws/execute-api/")
    assert stack.simulator_url == f"{stack.api_url}/simulator"
    assert stack.outputs["StageSeen"] == "dev"


def test_reload_brings_new_code_and_keeps_data_and_keys(application: Path, tmp_path: Path) -> None:
    directory = tmp_path / "state"
    code = application.parent / "functions" / "greet.py"
    with running_stack(directory=directory, template=application) as stack:
        before = greeting(stack)
        stack.client("dynamodb").put_item(
            TableName=stack.tables["config"], Item={"id": {"S": "kept"}}
        )
        code.write_text(code.read_text().replace("Buongiorno", "Buonasera"))

        begun = time.monotonic()
        reloaded = lifecycle.reload(directory, application)
        after = greeting(stack)
        took_s = time.monotonic() - begun

        assert (before["says"], after["says"]) == ("Buongiorno", "Buonasera")
        assert took_s < RELOAD_BUDGET_S
        assert reloaded == stack
        assert stack.client("dynamodb").get_item(
            TableName=stack.tables["config"], Key={"id": {"S": "kept"}}
        )["Item"]


def test_reload_brings_a_new_layer(
    application: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory, shared = tmp_path / "state", tmp_path / "shared"
    shutil.copytree(ROOT / "shared", shared, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr("infra.build.SHARED", shared)
    with running_stack(directory=directory, template=application) as stack:
        greeting(stack)
        (shared / "florin" / "__init__.py").write_text('__file__ = "another florin"\n')
        lifecycle.reload(directory, application)
        assert greeting(stack)["florin"] == "another florin"


def test_reload_of_nothing_changes_nothing(application: Path, tmp_path: Path) -> None:
    directory = tmp_path / "state"
    with running_stack(directory=directory, template=application) as stack:
        worker = greeting(stack)["pid"]
        assert lifecycle.reload(directory, application) == stack
        assert greeting(stack)["pid"] == worker


def test_reload_without_a_stack_says_so(tmp_path: Path) -> None:
    assert lifecycle.reload(tmp_path) is None


def test_a_resource_that_fails_is_named_with_its_reason(application: Path, tmp_path: Path) -> None:
    application.write_text(
        application.read_text().replace(
            "Queue: { Type: AWS::SQS::Queue }",
            "Queue: { Type: AWS::SQS::Queue, Properties: { VisibilityTimeout: 99999 } }",
        )
    )
    with (
        pytest.raises(DeployError, match=r"Queue \(AWS::SQS::Queue\): .*VisibilityTimeout"),
        running_stack(directory=tmp_path / "state", template=application),
    ):
        pass
    assert not (tmp_path / "state" / "stack.json").exists()


def test_a_template_that_is_refused_leaves_no_process(application: Path, directory: Path) -> None:
    application.write_text(application.read_text().replace("AWS::SQS::Queue", "AWS::SQS::Heap"))
    with pytest.raises(DeployError, match=r"refused: .*AWS::SQS::Heap"):
        lifecycle.up(directory, None, application)
    assert no_process_of(directory)


def test_up_stays_and_down_leaves_no_process(application: Path, directory: Path) -> None:
    stack = lifecycle.up(directory, None, application)
    worker = greeting(stack)["pid"]
    assert lifecycle.running(directory) == stack
    assert stack.pid is not None
    assert {stack.pid, worker} <= {process.pid for process in stack_processes(stack.pid)}

    lifecycle.down(directory)

    assert not stack_processes(stack.pid)
    assert no_process_of(directory)
    assert not (directory / "stack.json").exists()
    assert lifecycle.running(directory) is None
    lifecycle.down(directory)  # twice is no error


def test_after_a_kill_the_next_stack_starts_and_the_old_workers_are_gone(
    application: Path, directory: Path
) -> None:
    killed = lifecycle.up(directory, None, application)
    greeting(killed)
    assert killed.pid is not None
    os.kill(killed.pid, signal.SIGKILL)
    eventually(lambda: lifecycle.running(directory) is None)

    lifecycle.down(directory)
    assert no_process_of(directory)
    assert greeting(lifecycle.up(directory, None, application))["says"] == "Buongiorno"


def test_a_stack_ends_with_its_owner_even_when_that_is_killed(tmp_path: Path) -> None:
    directory = tmp_path / "state"
    script = f"""
import time
from pathlib import Path
from infra.local import running_stack
directory, template = Path({str(directory)!r}), Path({str(TRIAL)!r}) / "template.yaml"
with running_stack(directory=directory, template=template):
    print("up", flush=True)
    time.sleep(60)
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout
        assert owner.stdout.readline() == "up\n"
        assert not no_process_of(directory)
        owner.kill()
    eventually(lambda: no_process_of(directory))


def test_a_stack_of_somebody_else_is_used_and_left_running(
    application: Path, directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What STACK=localstack does. Only the layer differs there: with its own dependencies."""
    monkeypatch.setattr(lifecycle, "_target", lambda _pid: Target.LOCAL)
    server = start(tmp_path / "theirs", None)
    try:
        stack = lifecycle.attach(server.endpoint_url, directory, application)
        assert stack.pid is None
        assert greeting(stack)["says"] == "Buongiorno"
        lifecycle.down(directory)
        assert lifecycle.running(directory) is None
        assert greeting(stack)["says"] == "Buongiorno"
    finally:
        server.stop()


def test_a_taken_port_is_refused_by_its_number(stack: Stack, tmp_path: Path) -> None:
    port = int(stack.endpoint_url.rpartition(":")[2])
    with pytest.raises(StackError, match=f"port {port} is taken"):
        start(tmp_path, port)


def test_a_chosen_port_is_used(tmp_path: Path) -> None:
    port = free_port()
    server = start(tmp_path, port)
    server.stop()
    assert server.endpoint_url == f"http://127.0.0.1:{port}"


def no_process_of(directory: Path) -> bool:
    """Nothing runs that was started with, or in, this stack's directory."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environment = (folder / "environ").read_bytes()
        except OSError:
            continue
        if f"TMPDIR={directory}/".encode() in environment:
            return False
    return True
