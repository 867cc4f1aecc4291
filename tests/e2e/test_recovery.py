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
from tests.e2e.test_money import key, paid
from tests.support.examples import initiate, once

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
    functions = stack.client("lambda")
    (name,) = [
        found["FunctionName"]
        for found in functions.list_functions()["Functions"]
        if "SweeperFunction" in found["FunctionName"]
    ]
    answer = functions.invoke(FunctionName=name, Payload=json.dumps({"ahead_s": ahead_s}).encode())
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


def test_the_sweeper_comes_by_every_minute(stack: Stack) -> None:
    rules = stack.client("events").list_rules()["Rules"]
    assert [rule["State"] for rule in rules if rule.get("ScheduleExpression") == "rate(1 minute)"]
