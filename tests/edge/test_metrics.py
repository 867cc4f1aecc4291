"""Metrics are lines of the log, and those that somebody waits for are always written."""

import json
from datetime import timedelta
from typing import Any

import pytest

from florin.adapters.memory import MemoryParking
from florin.domain.payment import Outcome
from florin.edge import metrics, steps
from florin.edge.metrics import Metric
from florin.edge.streams import StreamHandler
from sweeper import handler as sweeper


@pytest.fixture(autouse=True)
def stack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STACK", "florin-dev")
    monkeypatch.setenv("LOG_LEVEL", "ERROR")


def told(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def numbers(line: dict[str, Any]) -> tuple[str, dict[str, str], float]:
    """What CloudWatch takes from a line: name, dimensions and value, found as its format says."""
    (metric,) = line["_aws"]["CloudWatchMetrics"]
    ((name, unit),) = ((found["Name"], found["Unit"]) for found in metric["Metrics"])
    assert metric["Namespace"] == "Florin"
    assert unit == ("Seconds" if name.endswith("Seconds") else "Count")
    assert isinstance(line["_aws"]["Timestamp"], int)
    (dimensions,) = metric["Dimensions"]
    return name, {dimension: line[dimension] for dimension in dimensions}, line[name]


def test_what_all_is_well_says_is_written_even_where_only_errors_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    metrics.tell(Metric.VERIFICATION_FINDINGS, 0, "verification", level="INFO", run_id="ver_1")
    (line,) = told(capsys)
    assert numbers(line) == ("VerificationFindings", {"Stack": "florin-dev"}, 0)
    assert (line["level"], line["kind"], line["run_id"]) == ("INFO", "verification", "ver_1")


def test_dead_letters_are_told_by_hop(capsys: pytest.CaptureFixture[str]) -> None:
    metrics.tell(Metric.DEAD_LETTERS, 1, "dead letter", hop="projector")
    (line,) = told(capsys)
    assert numbers(line) == ("DeadLetters", {"Stack": "florin-dev", "Hop": "projector"}, 1)


def test_outside_of_a_stack_a_line_is_still_one_that_can_be_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """CloudWatch takes no number from a line with an empty dimension."""
    monkeypatch.delenv("STACK")
    metrics.tell(Metric.OVERLOOKED, 2, "walk")
    (line,) = told(capsys)
    assert numbers(line) == ("Overlooked", {"Stack": "unnamed"}, 2)


@pytest.mark.parametrize("change", ["MODIFY", "REMOVE"])
def test_an_event_that_was_changed_rings_once_for_the_stack(
    change: str, capsys: pytest.CaptureFixture[str]
) -> None:
    parking = MemoryParking()
    reader = StreamHandler("projector", lambda rows: None, lambda: parking)
    keys = {"stream": {"S": "pay_1"}, "version": {"N": "3"}}
    reader({"Records": [{"eventName": change, "dynamodb": {"Keys": keys}}]}, None)
    (line,) = told(capsys)
    assert numbers(line) == ("TamperedEvents", {"Stack": "florin-dev"}, 1)
    assert (line["reader"], line["keys"], line["change"]) == ("projector", keys, change)


@pytest.mark.parametrize("outcome", list(Outcome))
def test_a_step_that_parks_asks_for_an_operator(
    outcome: Outcome, capsys: pytest.CaptureFixture[str]
) -> None:
    handler = steps._handler("Void", lambda payment_id, execution: outcome)
    assert handler({"payment_id": "pay_1", "execution": "arn:1"}, None) == {"outcome": outcome}
    lines = told(capsys)
    if outcome is not Outcome.PARK:
        assert lines == [], "everybody else pays for no line"
        return
    (line,) = lines
    assert numbers(line) == ("NeedsOperator", {"Stack": "florin-dev"}, 1)
    assert (line["payment_id"], line["execution"], line["step"]) == ("pay_1", "arn:1", "Void")


def test_how_long_an_answer_is_overdue_is_told_in_seconds(
    capsys: pytest.CaptureFixture[str],
) -> None:
    sweeper._unanswered("pay_1", timedelta(hours=1, seconds=5))
    (line,) = told(capsys)
    assert numbers(line) == ("UnansweredSeconds", {"Stack": "florin-dev"}, 3605)
    assert line["payment_id"] == "pay_1"
