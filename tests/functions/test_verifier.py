"""The function behind the verifier's queue."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from florin.edge import wiring
from florin.verification import Run, new_run
from tests.functions.conftest import forget_wiring
from tests.support.examples import NOON, TENANT, accepted_payment, opened_account
from tests.support.tables import make_table, make_tables
from verifier.handler import ALL_TENANTS, handler, work

Json = dict[str, Any]


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The verifier's queue, with tables and two tenants beside it."""
    with mock_aws():
        forget_wiring()
        dynamodb, sqs = boto3.client("dynamodb"), boto3.resource("sqs")
        tables = make_tables(dynamodb, "test")
        config = make_table(dynamodb, "ConfigTable", "test")
        for tenant_id in (TENANT, "tn_venice"):
            item = {"id": {"S": f"tenant#{tenant_id}"}, "tenant_id": {"S": tenant_id}}
            dynamodb.put_item(TableName=config, Item=item)
        made = sqs.create_queue(QueueName="verifier")
        settings = {
            "EVENTS_TABLE": tables.events,
            "IDEMPOTENCY_TABLE": tables.idempotency,
            "ACCOUNTS_TABLE": tables.accounts,
            "VIEWS_TABLE": tables.views,
            "CONFIG_TABLE": config,
            "VERIFICATIONS_TABLE": make_table(dynamodb, "VerificationsTable", "test"),
            "VERIFIER_QUEUE_URL": made.url,
            "QUEUE_URL": made.url,
            "PARKED_QUEUE_URL": made.url,
        }
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        yield made
        forget_wiring()


def called(*bodies: object) -> list[str]:
    """Give messages to the function; the ids of those that it failed on."""
    records = [
        {
            "messageId": f"message-{number}",
            "body": json.dumps(body),
            "receiptHandle": f"receipt-{number}",
            "attributes": {"ApproximateReceiveCount": "1"},
        }
        for number, body in enumerate(bodies)
    ]
    answer = handler({"Records": records}, None)
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def waiting(queue: Any) -> list[Json]:
    return [json.loads(message.body) for message in queue.receive_messages(MaxNumberOfMessages=10)]


def last(tenant_id: str = TENANT) -> Run | None:
    return wiring.verification().last(tenant_id)


def test_a_day_begins_with_a_run_for_every_tenant(queue: Any) -> None:
    opened_account(wiring.dynamo())
    accepted_payment(wiring.dynamo())
    assert called(ALL_TENANTS) == []
    # The schedule may call twice.
    assert called(ALL_TENANTS) == []
    messages = waiting(queue)
    assert sorted(message["tenant_id"] for message in messages) == [TENANT, "tn_venice"]
    assert called(*messages) == []
    run = last()
    assert run is not None
    assert (run.tally.streams, run.tally.findings) == (2, [])
    assert last("tn_venice") is not None
    assert waiting(queue) == []


def test_a_message_that_comes_again_does_nothing(queue: Any) -> None:
    wiring.verification().begin(new_run("ver_1", TENANT, NOON))
    message = {"tenant_id": TENANT, "run_id": "ver_1"}
    assert called(message, message) == []
    run = last()
    assert run is not None
    assert run.step == 1
    assert called(message) == []
    assert last() == run


def test_a_run_without_time_calls_for_its_next_part(queue: Any) -> None:
    opened_account(wiring.dynamo())
    wiring.verification().begin(new_run("ver_1", TENANT, NOON))
    messages: list[Json] = [{"tenant_id": TENANT, "run_id": "ver_1"}]
    parts = 0
    while messages:
        (message,) = messages
        work(message, work_s=0.0)
        messages = waiting(queue)
        parts += 1
    assert parts > 2
    assert last() is not None


def test_a_finding_is_told_as_an_error(queue: Any, capsys: pytest.CaptureFixture[str]) -> None:
    seller = opened_account(wiring.dynamo())
    boto3.client("dynamodb").update_item(
        TableName="AccountsTable-test",
        Key={"account": {"S": f"{TENANT}#wallet:{seller}"}, "item": {"S": "#guard"}},
        UpdateExpression="ADD spendable :one",
        ExpressionAttributeValues={":one": {"N": "1"}},
    )
    wiring.verification().begin(new_run("ver_1", TENANT, NOON))
    called({"tenant_id": TENANT, "run_id": "ver_1"})
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (told,) = (line for line in lines if line["kind"] == "verification")
    assert (told["level"], told["findings"]) == ("ERROR", 1)


def test_what_cannot_be_worked_on_is_left_in_the_queue(queue: Any) -> None:
    assert called({"nonsense": 1}, {"tenant_id": TENANT, "run_id": "ver_unseen"}) == ["message-0"]
