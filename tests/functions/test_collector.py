"""The collector: every form in which dead letters lie in queues, and what becomes of each."""

import json
from typing import Any

import boto3
import pytest
from moto import mock_aws

from dead_letters import handler as module
from dead_letters.arrivals import CAUSE_LENGTH_MAX, Arrivals
from florin.dead_letters import event_work, letter_id
from florin.ports import Arrival
from tests.support.engine import queue_record
from tests.support.examples import TENANT
from tests.support.tables import make_table

PAYMENT = "pay_01JZ8QB2S5E0GZ4Y1KXAM9V7TD"
QUEUE, FUNCTION, MACHINE = "arn:queue", "arn:aws:lambda:eu:1:function:reader", "arn:machine"
HOPS = {QUEUE: "analytics", FUNCTION: "projector", MACHINE: "payment"}
KEYS = {"stream": {"S": PAYMENT}, "version": {"N": "3"}}

Json = dict[str, Any]


def arrivals(body: object, stored: str = "", **attributes: Any) -> list[Arrival]:
    text = body if isinstance(body, str) else json.dumps(body)
    read = Arrivals(
        hops=HOPS,
        owner=lambda stream: TENANT if stream == PAYMENT else None,
        stored=lambda bucket, key: stored if (bucket, key) == ("batches", "a b") else "",
    )
    return list(read.of(queue_record(text, "m-1", QUEUE) | attributes))


def arrival(body: object, **attributes: Any) -> Arrival:
    (one,) = arrivals(body, **attributes)
    return one


def test_dlq_a_record_that_a_reader_parked() -> None:
    parked = {
        "hop": "projector",
        "cause": "KeyError()",
        "payload": {"stream": PAYMENT, "version": 3},
    }
    assert arrival(parked) == Arrival(
        letter_id=letter_id("projector", event_work(PAYMENT, 3)),
        message_id="m-1",
        hop="projector",
        cause="KeyError()",
        payload=json.dumps({"stream": PAYMENT, "version": 3}),
        tenant_id=TENANT,
        stream=PAYMENT,
        version=3,
    )
    unreadable = parked | {"payload": {"keys": KEYS}}
    assert arrival(unreadable).letter_id == arrival(parked).letter_id, "the same work"
    tampered = arrival(unreadable | {"cause": "tamper"})
    assert tampered.letter_id != arrival(parked).letter_id, "evidence is a letter of its own"
    assert (tampered.stream, tampered.version) == (PAYMENT, 3)
    assert tampered.tenant_id is None, "it holds the whole event, so it is not for tenants"


def test_dlq_a_message_that_a_listener_parked() -> None:
    body = json.dumps({"detail": {"event_id": "evt_1", "stream": PAYMENT, "version": 3}})
    parked = arrival({"hop": "analytics", "cause": "KeyError()", "payload": {"message": body}})
    assert (parked.payload, parked.stream, parked.version) == (body, PAYMENT, 3)
    assert parked.letter_id == letter_id("analytics", "evt_1")
    moved = arrival(body)
    assert (moved.letter_id, moved.hop, moved.payload) == (parked.letter_id, "analytics", body)
    assert moved.cause == "it was tried as often as it may be, and the tries ended unheard"


def test_dlq_a_message_that_the_bus_could_not_deliver() -> None:
    said = {
        "ERROR_CODE": {"stringValue": "NO_PERMISSIONS", "dataType": "String"},
        "ERROR_MESSAGE": {"stringValue": "not allowed", "dataType": "String"},
    }
    assert arrival({"detail": {}}, messageAttributes=said).cause == "NO_PERMISSIONS: not allowed"


def test_dlq_a_payment_that_its_execution_parked() -> None:
    parked = arrival(
        {
            "hop": "follow_up",
            "payment_id": PAYMENT,
            "execution": "arn:execution",
            "state": "FollowUp",
            "error": {"Error": "States.Timeout", "Cause": "35 s"},
        }
    )
    assert (parked.hop, parked.stream, parked.version) == ("follow_up", PAYMENT, None)
    assert parked.cause == "FollowUp failed with States.Timeout: 35 s"
    assert parked.tenant_id == TENANT
    assert json.loads(parked.payload)["execution"] == "arn:execution"


def ended(**detail: object) -> Json:
    usual = {
        "executionArn": "arn:execution",
        "stateMachineArn": MACHINE,
        "status": "TIMED_OUT",
        "input": json.dumps({"payment_id": PAYMENT}),
        "cause": None,
    }
    return {"detail-type": "Step Functions Execution Status Change", "detail": usual | detail}


def test_dlq_an_execution_that_could_not_park() -> None:
    timed_out = arrival(ended())
    assert (timed_out.hop, timed_out.stream) == ("payment", PAYMENT)
    assert timed_out.cause == "the execution ended as TIMED_OUT: no cause"
    failed = arrival(ended(status="FAILED", error="States.Runtime", cause="too much data"))
    assert failed.letter_id == timed_out.letter_id
    assert failed.cause == "the execution ended as FAILED: too much data"
    assert arrivals(ended(status="FAILED", error="PaymentParked")) == [], "it has told already"


@pytest.mark.parametrize("as_text", [True, False])
def test_dlq_a_batch_that_a_reader_failed_on(as_text: bool) -> None:
    payload = {"Records": [{"dynamodb": {"Keys": KEYS | {"version": {"N": n}}}} for n in "34"]}
    batch = {
        "requestContext": {
            "functionArn": f"{FUNCTION}:$LATEST",
            "condition": "RetryAttemptsExhausted",
        },
        "responseContext": {"statusCode": 200, "functionError": "Unhandled"},
        "payload": json.dumps(payload) if as_text else payload,
    }
    told = {"s3": {"bucket": {"name": "batches"}, "object": {"key": "a+b"}}}
    found = arrivals({"Records": [told]}, json.dumps(batch))
    assert [(one.hop, one.stream, one.version) for one in found] == [
        ("projector", PAYMENT, 3),
        ("projector", PAYMENT, 4),
    ]
    assert {one.cause for one in found} == {"RetryAttemptsExhausted: Unhandled"}
    assert len({one.message_id for one in found}) == 2
    assert found[0].letter_id == letter_id("projector", event_work(PAYMENT, 3))


def test_s3_trying_its_notification_is_nothing() -> None:
    assert arrivals({"Service": "Amazon S3", "Event": "s3:TestEvent"}) == []


@pytest.mark.parametrize(
    "body",
    [
        *("no json", "[]", "null", "{}", "[" * 2_000),
        {"detail": "no object"},
        {"detail": {"stream": 7, "event_id": []}},
        {"cause": "x", "payload": "no object"},
        {"hop": "projector", "cause": "x", "payload": {"version": "one", "stream": PAYMENT}},
        {"execution": "x"},
        {"Records": [{"s3": {}}]},
        {"Records": ["x"]},
        ended(input="no json"),
        ended(stateMachineArn="arn:another"),
        {"detail-type": "Step Functions Execution Status Change"},
    ],
)
def test_dlq_what_has_no_form_is_kept_as_it_is(body: object) -> None:
    one = arrival(body)
    assert (one.hop, one.tenant_id, one.stream) == ("analytics", None, None)
    assert one.payload == (body if isinstance(body, str) else json.dumps(body))


def test_dlq_a_stream_that_is_not_ours_is_nobodys() -> None:
    claimed = arrival({"detail": {"stream": "pay_unheard_of", "version": 1, "tenant_id": TENANT}})
    assert (claimed.tenant_id, claimed.stream, claimed.version) == (None, None, None)


def test_dlq_a_long_cause_is_cut() -> None:
    parked = {"hop": "projector", "cause": "x" * 10_000, "payload": {"stream": PAYMENT}}
    assert len(arrival(parked).cause) == CAUSE_LENGTH_MAX


@pytest.mark.usefixtures("fresh_wiring")
def test_dlq_what_is_collected_rings_and_what_is_not_stays(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with mock_aws():
        client = boto3.client("dynamodb")
        monkeypatch.setenv("EVENTS_TABLE", make_table(client, "EventsTable", "test"))
        monkeypatch.setenv("DEAD_LETTERS_TABLE", make_table(client, "DeadLettersTable", "test"))
        monkeypatch.setenv("HOPS", json.dumps(HOPS))
        monkeypatch.setenv("STACK", "florin")
        module.arrivals.cache_clear()
        good = queue_record("no json", "m-1", QUEUE)
        lost = {"s3": {"bucket": {"name": "gone"}, "object": {"key": "gone"}}}
        bad = queue_record(json.dumps({"Records": [lost]}), "m-2", QUEUE)
        answer = module.handler({"Records": [good, bad, good]}, None)
        module.arrivals.cache_clear()
        assert answer == {"batchItemFailures": [{"itemIdentifier": "m-2"}]}
        items = client.scan(TableName="DeadLettersTable-test")["Items"]
    assert [item["payload"]["S"] for item in items] == ["no json"]
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["kind"] for line in told] == ["dead letter", "not collected", "dead letters"]
    metrics = told[0]["_aws"]["CloudWatchMetrics"]
    assert metrics == [
        {
            "Namespace": "Florin",
            "Dimensions": [["Stack", "Hop"]],
            "Metrics": [{"Name": "DeadLetters", "Unit": "Count"}],
        }
    ]
    assert (told[0]["Stack"], told[0]["Hop"], told[0]["DeadLetters"]) == ("florin", "analytics", 1)
