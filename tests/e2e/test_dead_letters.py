"""What is given up, on the deployed template: the rest flows on, and a redrive sets it right."""

import json
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from analytics.witness import TOLD, CountedEvents
from florin.adapters.clock import ManualClock, SystemClock, UlidIds
from florin.adapters.dynamodb import Dynamo, Tables
from florin.adapters.dynamodb_dead_letters import DynamoDeadLetters
from florin.adapters.hops import ReaderHop, StoredEvents
from florin.catch_up import BUS_LATE_AFTER, CatchUp
from florin.dead_letters import Redriver
from florin.domain.history import event_id_of
from infra.client import Client, Json
from infra.local import Stack
from infra.local.lifecycle import STACK_NAME
from infra.simulator_books import simulator_books
from tests.e2e.test_money import accepted
from tests.support.tenants import with_tenant

pytestmark = pytest.mark.parametrize("stack", ["plain"], indirect=True, scope="session")
"""What conflicts and throttling do to money is asked elsewhere."""

NET = 970
PATIENCE_S = 60.0
POLL_S = 0.2


@pytest.fixture(scope="module")
def stack(stack: Stack) -> Stack:
    """With a tenant whose books may be broken for good."""
    return with_tenant(stack, "Siena Ruins")


@pytest.fixture
def client(stack: Stack) -> Client:
    return Client.of(stack)


def pay(client: Client, seller: str) -> str:
    body = {"amount": 1_000, "currency": "EUR", "payment_method": "tok_visa", "recipient": seller}
    payment_id: str = client.created("/payments", body)["payment_id"]
    return payment_id


def letters(client: Client, **filters: str) -> list[Json]:
    query = "&".join(f"{name}={value}" for name, value in {"limit": "100", **filters}.items())
    answer = client.get(f"/dead-letters?{query}")
    assert answer.status == 200, answer
    found: list[Json] = answer.body["data"]
    return found


def eventually(find: Callable[[], Any]) -> Any:
    """The first thing found that is not nothing."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := find()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(POLL_S)
    return found


def redriven(client: Client, dead_letter_id: str) -> str:
    (result,) = client.created(f"/dead-letters/{dead_letter_id}/redrive", {})["data"]
    assert result["dead_letter_id"] == dead_letter_id
    return str(result["state"])


def the_rest_flows_on(client: Client) -> None:
    seller = client.seller()
    assert client.ended(pay(client, seller))["status"] == "succeeded"
    assert client.wallet_with(seller, NET)["balance"] == NET


def test_dlq_a_record_that_cannot_be_projected_is_redriven_once_and_for_all(
    stack: Stack, client: Client
) -> None:
    dynamodb, table = stack.client("dynamodb"), stack.tables["accounts"]
    seller = client.seller()
    key = {
        "account": {"S": f"{stack.tenants[0].tenant_id}#wallet:{seller}"},
        "item": {"S": "#position"},
    }
    position = dynamodb.get_item(TableName=table, Key=key)["Item"]
    dynamodb.delete_item(TableName=table, Key=key)
    payment_id = pay(client, seller)
    assert client.ended(payment_id)["status"] == "succeeded", "nothing waits for its books"

    letter = eventually(lambda: letters(client, payment_id=payment_id, hop="projector"))[0]
    assert letter["state"] == "open"
    assert "has no position" in letter["cause"]
    assert (letter["payment_id"], letter["stream"]) == (payment_id, payment_id)
    shown = client.get(f"/dead-letters/{letter['dead_letter_id']}").body
    assert json.loads(shown["payload"]) == {"stream": payment_id, "version": letter["version"]}
    the_rest_flows_on(client)
    assert Client.of(stack, tenant=1).get(f"/dead-letters/{letter['dead_letter_id']}").status == 404
    assert redriven(client, letter["dead_letter_id"]) in {"open", "redriven"}, "not mended yet"
    again = eventually(
        lambda: [
            one
            for one in letters(client, payment_id=payment_id, state="open")
            if one["dead_letter_id"] == letter["dead_letter_id"] and one["seen"] == 2
        ]
    )
    assert again[0]["redrives"] == 1

    dynamodb.put_item(TableName=table, Item=position)
    key_1, key_2 = uuid.uuid4().hex, uuid.uuid4().hex
    body = {"hop": "projector", "payment_id": payment_id}
    first = client.post("/dead-letters/redrive", body, key_1)
    assert {result["state"] for result in first.body["data"]} == {"redriven"}
    replay = client.post("/dead-letters/redrive", body, key_1)
    assert (replay.raw, replay.headers["idempotent-replayed"]) == (first.raw, "true")
    assert client.post("/dead-letters/redrive", body, key_2).body["data"] == []
    assert redriven(client, letter["dead_letter_id"]) == "redriven"
    assert client.wallet_with(seller, NET)["available"] == NET
    statement = client.get(f"/ledger?account_id={seller}").body["data"]
    assert [(line["number"], line["balance_after"]) for line in statement] == [(1, NET)]
    assert letters(client, payment_id=payment_id, state="open") == []


def bless(stack: Stack, stream: str, version: int) -> Json:
    """Write an event of a type nobody knows into a stream, by hand; its key."""
    key = {"stream": {"S": stream}, "version": {"N": str(version)}}
    rest = {
        "tenant_id": {"S": stack.tenants[0].tenant_id},
        "type": {"S": "payment.blessed"},
        "schema_version": {"N": "1"},
        "recorded_at": {"S": "2026-11-21T12:00:00.000+00:00"},
        "data": {"S": "{}"},
        "hash": {"S": "none"},
    }
    stack.client("dynamodb").put_item(TableName=stack.tables["events"], Item=key | rest)
    return key


def test_dlq_a_record_that_nobody_understands_stays_visible(stack: Stack, client: Client) -> None:
    stream = UlidIds().new("pay", SystemClock().now())
    bless(stack, stream, 1)
    (letter,) = eventually(lambda: letters(client, payment_id=stream))
    assert (letter["hop"], letter["version"]) == ("projector", 1)
    assert "payment.blessed" in letter["cause"]
    the_rest_flows_on(client)
    redriven(client, letter["dead_letter_id"])
    again = eventually(
        lambda: [one for one in letters(client, payment_id=stream) if one["seen"] > 1]
    )
    assert [(one["state"], one["redrives"]) for one in again] == [("open", 1)]


def test_dlq_messages_that_nobody_understands_are_tried_parked_and_redriven(
    stack: Stack, client: Client
) -> None:
    body = f"no json {uuid.uuid4().hex}"
    hops = {"analytics": "AnalyticsQueue", "lookups": "LookupsQueue", "verifier": "VerifierQueue"}
    for queue in hops.values():
        stack.client("sqs").send_message(QueueUrl=resource(stack, queue), MessageBody=body)

    def found(hop: str) -> Json | None:
        for one in letters(client, hop=hop):
            shown = client.get(f"/dead-letters/{one['dead_letter_id']}").body
            if shown["payload"] == body:
                return shown
        return None

    parked = [eventually(partial(found, hop)) for hop in hops]
    the_rest_flows_on(client)
    for letter in parked:
        assert (letter["state"], letter["payment_id"]) == ("open", None)
        assert letter["cause"].startswith("JSONDecodeError")
        for _ in range(2):
            assert redriven(client, letter["dead_letter_id"]) == "redriven"
        counted = client.get(f"/dead-letters/{letter['dead_letter_id']}").body
        assert counted["redrives"] == 1, "the second time there was nothing to do"


def test_dlq_an_execution_that_was_parked_goes_on_where_it_stood(
    stack: Stack, client: Client
) -> None:
    seller = client.seller()
    payment_id = accepted(stack, seller)
    poison = bless(stack, payment_id, 2)
    stack.client("stepfunctions").start_execution(
        stateMachineArn=stack.state_machines["standard"],
        name=f"{payment_id}-v1",
        input=json.dumps({"payment_id": payment_id}),
    )
    (letter,) = eventually(lambda: letters(client, payment_id=payment_id, hop="payment"))
    assert letter["state"] == "open"
    assert letter["cause"].startswith("AssessRisk failed with")
    the_rest_flows_on(client)

    # The emulator has no table policy that forbids it; the readers of the stream notice.
    stack.client("dynamodb").delete_item(TableName=stack.tables["events"], Key=poison)
    evidence = eventually(lambda: letters(client, payment_id=payment_id, cause="tamper"))
    refused = client.post(f"/dead-letters/{evidence[0]['dead_letter_id']}/redrive", {})
    assert (refused.status, refused.body["error"]["code"]) == (422, "not_redrivable")

    for _ in range(2):
        assert redriven(client, letter["dead_letter_id"]) == "redriven"
    payment = client.ended(payment_id)
    assert payment["status"] == "succeeded"
    assert client.wallet_with(seller, NET)["balance"] == NET
    books = simulator_books(stack, payment_id)
    assert (books.authorized, books.captured, books.voided) == (1, 1, 0)
    (execution,) = payment["saga"]["executions"]
    assert execution.endswith("-r1")


def resource(stack: Stack, logical_id: str) -> str:
    """What AWS calls a resource of the template."""
    found = stack.client("cloudformation").describe_stack_resource(
        StackName=STACK_NAME, LogicalResourceId=logical_id
    )
    return str(found["StackResourceDetail"]["PhysicalResourceId"])


def catch_up(stack: Stack) -> CatchUp:
    """The catch-up as it will run in a quarter of an hour."""
    dynamodb = stack.client("dynamodb")
    events = StoredEvents(dynamodb, stack.tables["events"])
    tables = {name: stack.tables[name] for name in ("events", "idempotency", "accounts", "views")}
    letters = DynamoDeadLetters(dynamodb, stack.tables["dead_letters"])
    dynamo = Dynamo(dynamodb, Tables(**tables))
    clock = ManualClock(SystemClock().now() + BUS_LATE_AFTER + timedelta(minutes=1))
    hops = {
        hop: ReaderHop(events, stack.client("lambda"), resource(stack, f"{hop.title()}Function"))
        for hop in ("projector", "publisher")
    }
    return CatchUp(
        events=events,
        store=dynamo,
        books=dynamo,
        witness=CountedEvents(dynamodb, stack.tables["analytics"]),
        told=TOLD,
        letters=letters,
        redriver=Redriver(letters=letters, hops=hops, clock=clock),
        clock=clock,
    )


def counted(stack: Stack, payment_id: str) -> int:
    """How many of the three public events of a payment analytics has heard of."""
    witness = CountedEvents(stack.client("dynamodb"), stack.tables["analytics"])
    return len(witness.heard_of([event_id_of(payment_id, version) for version in (1, 4, 6)]))


def test_dlq_what_the_bus_lost_is_found_and_told_again(stack: Stack, client: Client) -> None:
    events, sqs = stack.client("events"), stack.client("sqs")
    name = resource(stack, "AnalyticsRule").rpartition("|")[2].rpartition("/")[2]
    rule = {"Rule": name, "EventBusName": stack.bus}
    (target,) = events.list_targets_by_rule(**rule)["Targets"]
    elsewhere = sqs.create_queue(QueueName=f"elsewhere-{uuid.uuid4().hex}")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=elsewhere, AttributeNames=["QueueArn"])
    lost = {"Id": target["Id"], "Arn": arn["Attributes"]["QueueArn"]}
    events.put_targets(**rule, Targets=[lost])

    def told_of(payment_id: str, version: int) -> bool:
        answer = sqs.receive_message(QueueUrl=elsewhere, MaxNumberOfMessages=10)
        told = [json.loads(message["Body"])["detail"] for message in answer.get("Messages", ())]
        return (payment_id, version) in {(one["stream"], one["version"]) for one in told}

    try:
        seller = client.seller()
        payment_id = pay(client, seller)
        assert client.ended(payment_id)["status"] == "succeeded"
        assert client.wallet_with(seller, NET)["balance"] == NET, "the books need no bus"
        eventually(lambda: told_of(payment_id, 6))
    finally:
        events.put_targets(**rule, Targets=[target])
    assert counted(stack, payment_id) == 0

    for _ in range(2):
        catch_up(stack).run()
    eventually(lambda: counted(stack, payment_id) == 3)
    found = letters(client, payment_id=payment_id)
    assert {(one["hop"], one["state"], one["cause"]) for one in found} == {
        ("publisher", "redriven", "catch-up: nobody has heard of it")
    }
    assert client.wallet_with(seller, NET)["balance"] == NET
    assert catch_up(stack).run().made_good == 0
