"""stack.json: how outputs become names, and that a stack is read back as it was written."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from infra.local.stack import Stack, local_address, snake
from infra.seed import Tenant

HERE = "http://127.0.0.1:4566"
MACHINE = "arn:aws:states:us-east-1:000000000000:stateMachine:florin-"
STACK = Stack.of(
    {
        "EventsTable": "florin-Events-1",
        "AnalyticsQueue": "http://q/analytics",
        "AnalyticsDeadLetters": "http://q/dead",
        "ProjectorParked": "http://q/projector",
        "PaymentStandard": MACHINE + "PaymentStandard-1",
        "PaymentExpress": MACHINE + "PaymentExpress-1",
        "Bus": "florin-bus",
        "ApiUrl": f"{HERE}/_aws/execute-api/abc/v1",
        "SimulatorUrl": f"{HERE}/_aws/lambda-url/xyz",
        "PepperSecret": "pepper",
    },
    (Tenant("tn_1", "Silks", "sk_test_1"),),
    endpoint_url=HERE,
    region="us-east-1",
    pid=4711,
)


def test_outputs_are_sorted_by_their_form() -> None:
    assert STACK.tables == {"events": "florin-Events-1"}
    assert STACK.queues == {
        "analytics": "http://q/analytics",
        "analytics_dead_letters": "http://q/dead",
        "projector_parked": "http://q/projector",
    }
    assert STACK.state_machines == {
        "standard": MACHINE + "PaymentStandard-1",
        "express": MACHINE + "PaymentExpress-1",
    }
    assert (STACK.bus, STACK.pid) == ("florin-bus", 4711)


def test_a_stack_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    STACK.save(tmp_path)
    assert Stack.load(tmp_path) == STACK


def test_the_file_with_the_keys_is_for_its_owner_only(tmp_path: Path) -> None:
    STACK.save(tmp_path)
    assert stat.S_IMODE((tmp_path / "stack.json").stat().st_mode) == 0o600


def test_no_file_is_no_stack(tmp_path: Path) -> None:
    assert Stack.load(tmp_path) is None


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("https://abc.execute-api.us-east-1.amazonaws.com/v1", f"{HERE}/_aws/execute-api/abc/v1"),
        (
            "https://abc.execute-api.us-east-1.amazonaws.com/v1/sim/",
            f"{HERE}/_aws/execute-api/abc/v1/sim",
        ),
        ("https://xyz.lambda-url.us-east-1.on.aws/", f"{HERE}/_aws/lambda-url/xyz"),
        ("http://xyz.lambda-url.us-east-1.localhost:4566/", f"{HERE}/_aws/lambda-url/xyz"),
        ("arn:aws:states:us-east-1:0:stateMachine:x", "arn:aws:states:us-east-1:0:stateMachine:x"),
        ("florin-Events-1", "florin-Events-1"),
    ],
)
def test_addresses_of_gateway_and_functions_become_local_ones(url: str, local: str) -> None:
    assert local_address(url, HERE) == local


@pytest.mark.parametrize(
    ("name", "key"),
    [("Events", "events"), ("ProjectorParked", "projector_parked"), ("A2BQueue", "a2_bqueue")],
)
def test_names_in_json_are_written_with_underscores(name: str, key: str) -> None:
    assert snake(name) == key
