"""Lines of the log."""

import json

import pytest
from botocore.exceptions import ClientError

from florin.domain.refusals import Refusal
from florin.edge import log


def last_line(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    text = capsys.readouterr().out
    assert text.endswith("\n")
    line: dict[str, object] = json.loads(text)
    return line


def test_a_line_is_one_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    log.line("step", kind_of="a\nb", outcome=Refusal.INTERNAL, odd=object(), half="\ud800")
    line = last_line(capsys)
    assert line["level"] == "INFO"
    assert line["kind"] == "step"
    assert line["kind_of"] == "a\nb"
    assert line["outcome"] == "internal"


def test_quiet_keeps_errors(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOG_LEVEL", "ERROR")
    log.line("step")
    log.error("parked", hop="projector")
    assert last_line(capsys) == {"level": "ERROR", "kind": "parked", "hop": "projector"}


def unlucky() -> None:
    tokens: dict[str, int] = {}
    try:
        tokens["tok_visa"]
    except KeyError as error:
        raise LookupError("tok_visa") from error


def test_a_failure_is_told_by_type_and_place(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        unlucky()
    except LookupError as error:
        log.failure("unexpected", error, request_id="r-1")
    line = last_line(capsys)
    assert (line["cause"], line["said"]) == ("LookupError from KeyError", None)
    assert str(line["at"]).count(".unlucky:") == 1
    assert "tok_visa" not in json.dumps(line)


def test_what_aws_said_is_quoted(capsys: pytest.CaptureFixture[str]) -> None:
    denied = ClientError({"Error": {"Code": "AccessDenied", "Message": "not you"}}, "GetItem")
    log.failure("unexpected", denied)
    assert "AccessDenied" in str(last_line(capsys)["said"])


def test_a_card_number_is_struck_out_wherever_it_stands(
    capsys: pytest.CaptureFixture[str],
) -> None:
    number = "4242424242424242"
    grouped = "4242 4242 4242 4242"
    full_width = "".join(chr(ord(digit) + 0xFEE0) for digit in number)
    quoting = ClientError({"Error": {"Code": "Validation", "Message": grouped}}, "GetItem")
    log.line("request", route=f"GET /payments/{number}", status=404)
    log.error("parked", deep={number: [{"a": full_width}, int(number), None, True]})
    log.failure("unexpected", quoting, key=f"order {grouped}")
    lines = capsys.readouterr().out.splitlines()
    for line in map(json.loads, lines):
        assert "[card number]" in json.dumps(line)
        for card in (number, grouped, full_width):
            assert card not in json.dumps(line, ensure_ascii=False)
    assert json.loads(lines[0]) == {
        "level": "INFO",
        "kind": "request",
        "route": "GET /payments/[card number]",
        "status": 404,
    }


def test_other_numbers_stand_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    log.line("request", duration_ms=1732190400123, request_id="2ed145f47998179883020cf694b19e9f")
    line = last_line(capsys)
    assert line["duration_ms"] == 1732190400123
    assert line["request_id"] == "2ed145f47998179883020cf694b19e9f"
