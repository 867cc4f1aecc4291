"""The walker of state machines, and that nothing passes the ports unseen."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from florin.adapters.clock import ManualClock
from tests.chaos.deployment import FOLLOW_UP, PAYMENT
from tests.chaos.faults import PORTS
from tests.chaos.machine import (
    Execution,
    InvocationDied,
    Json,
    Machine,
    NotUnderstoodError,
    definition,
)
from tests.support.examples import NOON


def walked(path: Path, answer: Callable[[str], str]) -> tuple[Execution, list[Json], int]:
    """An execution in which each step answers so, what was parked, and how long it took."""
    clock, parked = ManualClock(NOON), list[Json]()
    steps = ("AssessRisk", "Authorize", "Capture", "Void", "Finish", "FollowUp")
    machine = Machine(
        definition(path),
        {
            f"${{{step}Function}}": lambda payload, step=step: {"outcome": answer(step)}  # type: ignore[misc]  # a lambda's default has no annotation
            for step in steps
        },
        {"${ParkedQueueUrl}": parked.append},
        clock,
    )
    execution = Execution("e-1", "pay_1")
    machine.walk(execution)
    return execution, parked, int((clock.now() - NOON).total_seconds())


def test_outcomes_are_routed_as_the_definition_says() -> None:
    execution, parked, _ = walked(PAYMENT, lambda step: "done")
    assert execution.visited == ["AssessRisk", "Authorize", "Capture", "Outcome", "Done"]
    assert (execution.status, parked) == ("SUCCEEDED", [])

    answers = {"Void": "compensate", "Finish": "done"}
    execution, _, _ = walked(PAYMENT, lambda step: answers.get(step, "compensate"))
    assert execution.visited[3:] == ["Outcome", "Void", "Finish", "UndoOutcome", "Done"]

    again = iter(["continue", "wait"])
    execution, _, took_s = walked(FOLLOW_UP, lambda step: next(again))
    assert execution.visited == ["FollowUp", "Outcome", "Pause", "FollowUp", "Outcome", "Waiting"]
    assert took_s == 1


def test_an_answer_nobody_knows_is_parked() -> None:
    execution, parked, _ = walked(PAYMENT, lambda step: "sideways")
    assert execution.status == "FAILED"
    assert parked == [
        {
            "hop": "payment",
            "payment_id": "pay_1",
            "execution": execution.arn,
            "state": "Outcome",
            "error": {"Error": "UnknownOutcome", "Cause": "The step before answered sideways"},
        }
    ]


def test_who_raises_or_dies_is_called_again_with_backoff_and_then_parked() -> None:
    tried: list[str] = []

    def dies(step: str) -> str:
        tried.append(step)
        if len(tried) == 1:
            raise InvocationDied("out of memory")
        raise KeyError("payment_id")

    execution, parked, took_s = walked(PAYMENT, dies)
    assert tried == ["AssessRisk"] * 3
    assert took_s == 1 + 2
    assert (execution.status, execution.visited[-2:]) == ("FAILED", ["Park", "Parked"])
    assert parked[0]["state"] == "AssessRisk"
    assert parked[0]["error"]["Error"] == "KeyError"


@pytest.mark.parametrize(
    "change",
    [
        {"Type": "Parallel"},
        {"ResultPath": "$"},
        {"Retry": [{"ErrorEquals": ["States.ALL"], "Comment": "why"}]},
        {"Resource": "arn:aws:states:::dynamodb:putItem"},
    ],
)
def test_what_it_does_not_know_it_refuses(change: Json, tmp_path: Path) -> None:
    machine = json.loads(FOLLOW_UP.read_text(encoding="utf-8"))
    machine["States"]["FollowUp"] |= change
    changed = tmp_path / "changed.asl.json"
    changed.write_text(json.dumps(machine), encoding="utf-8")
    with pytest.raises(NotUnderstoodError):
        definition(changed)


@pytest.mark.parametrize("name", PORTS)
def test_every_method_of_a_watched_port_is_a_point(name: str) -> None:
    port, methods = PORTS[name]
    declared = {
        method
        for method, what in vars(port).items()
        if callable(what) and not method.startswith("_")
    }
    assert declared == methods.keys()
