"""What a step tells in its log when a provider's word leaves its question open."""

import json

import pytest

from florin.domain.payment import Call
from florin.domain.provider import Operation, Unknown
from florin.edge import steps
from tests.support.examples import NOON


def test_a_doubtful_look_up_is_told_even_to_who_wants_only_errors(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LOG_LEVEL", "ERROR")
    call = Call(
        operation=Operation.CAPTURE,
        operation_id="capture",
        attempt=2,
        key=2,
        key_until=None,
        reference="pay_1:capture",
        owner="weaver",
        deadline=NOON,
    )
    steps._inconclusive(call, Unknown(reason="not_what_was_asked: amount"))
    assert json.loads(capsys.readouterr().out) == {
        "level": "ERROR",
        "kind": "look_up",
        "reference": "pay_1:capture",
        "idempotency_key": "pay_1:capture:2",
        "reason": "not_what_was_asked: amount",
    }
