"""What nobody looks after any more is found on the deployed stack, and goes on."""

import json
import time
from dataclasses import replace
from datetime import timedelta

import pytest

from florin.adapters.clock import ManualClock, SystemClock, UlidIds
from florin.adapters.dynamodb import Dynamo, Tables
from florin.domain.hold import Part, PlaceHold
from florin.domain.money import Money
from florin.handle import Accepted, Desk
from infra.client import Client, Json
from infra.local import Stack
from infra.simulator_books import simulator_books
from tests.e2e.test_money import key, paid, word
from tests.support.examples import initiate, once

pytestmark = pytest.mark.parametrize("stack", ["plain"], indirect=True)
"""What conflicts and throttling do to money is asked elsewhere."""

PATIENCE_S = 30.0
POLL_S = 0.2
LONG_AGO = timedelta(minutes=10)


@pytest.fixture
def client(stack: Stack) -> Client:
    return Client.of(stack)


def desk(stack: Stack) -> Desk:
    """Where requests were accepted ten minutes ago by somebody who died right after."""
    tables = {name: stack.tables[name] for name in ("events", "idempotency", "accounts", "views")}
    store = Dynamo(stack.client("dynamodb"), Tables(**tables))
    clock = ManualClock(SystemClock().now() - LONG_AGO)
    return Desk(store=store, accounts=store, clock=clock, ids=UlidIds())


def sweep(stack: Stack, ahead_s: int = 0) -> Json:
    """Run the sweeper now, as its schedule does every minute."""
    return called(stack, "SweeperFunction", ahead_s=ahead_s)


def called(stack: Stack, function: str, **event: int) -> Json:
    """What a function of the stack answers."""
    functions = stack.client("lambda")
    (name,) = [
        found["FunctionName"]
        for found in functions.list_functions()["Functions"]
        if function in found["FunctionName"]
    ]
    answer = functions.invoke(FunctionName=name, Payload=json.dumps(event).encode())
    assert "FunctionError" not in answer, answer["Payload"].read()
    done: Json = json.loads(answer["Payload"].read())
    return done


def swept_until(stack: Stack, client: Client, path: str, status: str) -> Json:
    """What is at the path, once sweeping has brought it to this status."""
    deadline = time.monotonic() + PATIENCE_S
    while (seen := client.get(path).body)["status"] != status:
        assert time.monotonic() < deadline, seen
        sweep(stack)
        time.sleep(POLL_S)
    return seen


def test_saga_a_payment_that_was_never_started_is_found(stack: Stack, client: Client) -> None:
    tenant_id = stack.tenants[0].tenant_id
    command = initiate(recipient=client.seller(), tenant_id=tenant_id)
    accepted = desk(stack).initiate_payment(
        replace(command, provider="simulator"), once(key(), tenant_id)
    )
    assert isinstance(accepted, Accepted)
    payment_id = accepted.receipt.object_id
    payment = swept_until(stack, client, f"/payments/{payment_id}", "succeeded")
    (execution,) = payment["saga"]["executions"]
    assert f"{payment_id}-v1-r" in execution
    assert simulator_books(stack, payment_id).captured == 1


def test_hold_expires_on_its_own(stack: Stack, client: Client) -> None:
    tenant_id = stack.tenants[0].tenant_id
    payer, seller = client.seller(), client.seller()
    paid(client, payer, 1_000)
    part = Part(recipient=seller, amount=Money(970, "EUR"))
    command = PlaceHold(tenant_id=tenant_id, account_id=payer, parts=(part,))
    placed = desk(stack).place_hold(command, once(key(), tenant_id), timedelta(minutes=5))
    assert isinstance(placed, Accepted)
    swept_until(stack, client, f"/holds/{placed.receipt.object_id}", "expired")
    wallet = client.get(f"/wallets/{payer}").body
    assert (wallet["available"], wallet["held"]) == (970, 0)


def test_the_sweeper_and_the_walk_come_by(stack: Stack) -> None:
    rules = stack.client("events").list_rules()["Rules"]
    scheduled = {rule.get("ScheduleExpression") for rule in rules}
    assert {"rate(1 minute)", "rate(1 hour)", "rate(1 day)"} <= scheduled


def test_the_walk_dates_what_nobody_would_look_after(stack: Stack, client: Client) -> None:
    tenant_id = stack.tenants[0].tenant_id
    command = initiate(recipient=client.seller(), tenant_id=tenant_id)
    accepted = desk(stack).initiate_payment(
        replace(command, provider="simulator"), once(key(), tenant_id)
    )
    assert isinstance(accepted, Accepted)
    payment_id = accepted.receipt.object_id
    dynamodb, table = stack.client("dynamodb"), stack.tables["views"]
    place = {"TableName": table, "Key": {"stream": {"S": payment_id}}}
    deadline = time.monotonic() + PATIENCE_S
    while "due_at" not in dynamodb.get_item(**place, ConsistentRead=True).get("Item", {}):
        assert time.monotonic() < deadline
        time.sleep(POLL_S)
    dynamodb.update_item(**place, UpdateExpression="REMOVE due_at, due_key")
    assert called(stack, "WalkFunction", segment=0, segments=1)["undated"] >= 1
    swept_until(stack, client, f"/payments/{payment_id}", "succeeded")


def test_idem_crash_mid_psp_resumes(stack: Stack, client: Client) -> None:
    """The provider did it and its answer was lost: the key stays bound, nobody asks again, and a
    look-up finds what was done.
    """
    same = key()
    body = {
        "amount": 1_000,
        "currency": "EUR",
        "payment_method": "tok_timeout_then_success",
        "recipient": client.seller(),
    }
    first = client.post("/payments", body, same)
    payment_id = first.body["payment_id"]
    client.payment_when(payment_id, lambda seen: seen["status"] == "awaiting_provider")
    assert word(client.post(f"/payments/{payment_id}/refund", {})) == "409 provider_answer_pending"
    again = client.post("/payments", body, same)
    assert (again.raw, again.headers["idempotent-replayed"]) == (first.raw, "true")

    payment = client.payment_when(payment_id, lambda seen: seen["status"] == "succeeded", 90.0)
    assert [attempt["attempt"] for attempt in payment["attempts"]] == [1, 1], "never sent again"
    books = simulator_books(stack, payment_id)
    assert (books.authorized, books.captured) == (1, 1)


def test_idem_in_flight_409_retryable(stack: Stack, client: Client) -> None:
    """While a capture is under way its own key answers it, and every other request is told to come
    again under the same key.
    """
    body = {
        "amount": 1_000,
        "currency": "EUR",
        "payment_method": "tok_capture_slow",
        "recipient": client.seller(),
        "capture_method": "manual",
    }
    payment_id = client.created("/payments", body)["payment_id"]
    client.payment_when(payment_id, lambda seen: seen["status"] == "authorized")
    capturing, refunding = key(), key()
    first = client.post(f"/payments/{payment_id}/capture", {}, capturing)
    again = client.post(f"/payments/{payment_id}/capture", {}, capturing)
    assert (first.status, again.raw) == (201, first.raw)
    early = client.post(f"/payments/{payment_id}/refund", {}, refunding)
    assert (word(early), early.body["error"]["transient"]) == ("409 provider_answer_pending", True)
    client.payment_when(payment_id, lambda seen: seen["status"] == "succeeded")
    later = client.post(f"/payments/{payment_id}/refund", {}, refunding)
    assert (later.status, "idempotent-replayed" in later.headers) == (201, False)
