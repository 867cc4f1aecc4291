"""The first listener of the bus: each event counts once, however often it comes."""

import json
from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from moto import mock_aws

from analytics import handler as module
from tests.support.dynamodb_faults import REASONS, canceled
from tests.support.fault_proxy import Request
from tests.support.tables import make_table

Json = dict[str, Any]


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with mock_aws():
        module._client.cache_clear()
        name = make_table(boto3.client("dynamodb"), "AnalyticsTable", "test")
        monkeypatch.setenv("ANALYTICS_TABLE", name)
        yield name
        module._client.cache_clear()


def message(event_id: str, kind: str = "payment.captured", **data: object) -> Json:
    detail = {
        "event_id": event_id,
        "type": kind,
        "tenant_id": "tn_florence",
        "recorded_at": "2026-11-21T23:59:59.999+00:00",
        "data": data,
    }
    return record(f"message-{event_id}", json.dumps({"detail": detail}))


def record(message_id: str, body: str) -> Json:
    return {
        "messageId": message_id,
        "receiptHandle": f"receipt-{message_id}",
        "attributes": {"ApproximateReceiveCount": "1"},
        "body": body,
    }


def numbers(table: str, item: str) -> tuple[int, int]:
    key = {"id": {"S": "tn_florence#2026-11-21"}, "item": {"S": item}}
    found = boto3.client("dynamodb").get_item(TableName=table, Key=key)["Item"]
    return int(found["payments"]["N"]), int(found["amount"]["N"])


def test_an_event_counts_once(table: str) -> None:
    one = message("evt_1", amount=1_000, currency="EUR")
    two = message("evt_2", amount=500, currency="EUR")
    for batch in ([one, one], [two], [one, two]):
        assert module.handler({"Records": batch}, None) == {"batchItemFailures": []}
    assert numbers(table, "payment.captured#EUR") == (2, 1_500)


def test_events_without_an_amount_are_counted_too(table: str) -> None:
    module.handler({"Records": [message("evt_1", "payment.failed", reason="declined")]}, None)
    assert numbers(table, "payment.failed#none") == (1, 0)


def test_what_cannot_be_counted_stays_in_the_queue_alone(table: str) -> None:
    broken = record("broken", "no json")
    good = message("evt_1", amount=1, currency="JPY")
    answer = module.handler({"Records": [broken, good]}, None)
    assert answer == {"batchItemFailures": [{"itemIdentifier": "broken"}]}
    assert numbers(table, "payment.captured#JPY") == (1, 1)


def refuse(codes: Sequence[str]) -> list[str]:
    """Have transactions canceled for these reasons, one after the other; those still to come."""
    left = list(codes)

    class Raw(BytesIO):
        def stream(self) -> Iterator[bytes]:
            yield self.read()

    def sent(request: AWSPreparedRequest, **_: object) -> AWSResponse | None:
        if not left:
            return None
        body = request.body
        assert isinstance(body, bytes)
        asked = Request(service="dynamodb", operation="TransactWriteItems", body=body)
        answer = canceled(left.pop(0), asked, turn=1)
        headers = HTTPHeaders.from_dict(answer.headers)
        return AWSResponse(request.url, answer.status, headers, Raw(answer.body))

    events = module._client().meta.events
    events.register_first("before-send.dynamodb.TransactWriteItems", sent)
    return left


def test_a_conflict_at_the_numbers_is_tried_again(table: str) -> None:
    """All events of a day meet there, and the queue would bring them back a minute later."""
    left = refuse([*REASONS, *REASONS])
    answer = module.handler({"Records": [message("evt_1", amount=7, currency="EUR")]}, None)
    assert (answer, left) == ({"batchItemFailures": []}, [])
    assert numbers(table, "payment.captured#EUR") == (1, 7)


def test_what_always_meets_another_one_goes_back_to_the_queue(table: str) -> None:
    left = refuse(["TransactionConflict"] * (module.TRIES_MAX + 1))
    one = message("evt_1", amount=7, currency="EUR")
    assert module.handler({"Records": [one]}, None) == {
        "batchItemFailures": [{"itemIdentifier": "message-evt_1"}]
    }
    assert len(left) == 1
