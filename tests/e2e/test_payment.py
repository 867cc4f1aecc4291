"""One card payment over HTTP, on the deployed template."""

import json
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from florin.adapters.clock import SystemClock, UlidIds
from florin.adapters.dynamodb import Dynamo, Tables
from florin.handle import Accepted, Desk
from infra.client import Client, Json
from infra.local import Stack
from infra.simulator_books import simulator_books
from tests.support.examples import initiate, once

pytestmark = pytest.mark.parametrize("stack", ["plain"], indirect=True)
"""What conflicts and throttling do to money is asked elsewhere."""

NET, FEE = 970, 30


@pytest.fixture
def client(stack: Stack) -> Client:
    return Client.of(stack)


def dynamo(stack: Stack) -> Dynamo:
    tables = Tables(
        events=stack.tables["events"],
        idempotency=stack.tables["idempotency"],
        accounts=stack.tables["accounts"],
        views=stack.tables["views"],
    )
    return Dynamo(stack.client("dynamodb"), tables)


def pay(client: Client, recipient: str, token: str, amount: int = 1_000) -> Json:
    created = client.created(
        "/payments",
        {"amount": amount, "currency": "EUR", "payment_method": token, "recipient": recipient},
    )
    return client.ended(created["payment_id"])


def ledger(client: Client, payment_id: str) -> list[Json]:
    entries: list[Json] = client.get(f"/payments/{payment_id}/ledger").body["data"]
    return entries


def test_tok_visa_succeeds_and_the_books_balance(stack: Stack, client: Client) -> None:
    seller = client.seller()
    payment = pay(client, seller, "tok_visa")
    assert payment["status"] == "succeeded"
    assert (payment["fees"], payment["net_amount"]) == (FEE, NET)
    assert payment["saga"]["completed_steps"] == ["AssessRisk", "Authorize", "Capture"]
    assert payment["saga"]["status"] == "completed"
    assert len(payment["saga"]["executions"]) == 1
    assert payment["payment_method"] == "card_****4242"
    entries = ledger(client, payment["payment_id"])
    assert {(entry["entry_type"], entry["account"], entry["amount"]) for entry in entries} == {
        ("DEBIT", "provider:simulator:receivable", 1_000),
        ("CREDIT", f"wallet:{seller}", NET),
        ("CREDIT", "platform:fees", FEE),
    }
    wallet = client.wallet_with(seller, NET)
    assert (wallet["available"], wallet["held"], wallet["balance"]) == (NET, 0, NET)
    statement = client.get(f"/ledger?account_id={seller}&limit=5").body
    assert [(line["number"], line["balance_after"]) for line in statement["data"]] == [(1, NET)]
    books = simulator_books(stack, payment["payment_id"])
    assert (books.authorized, books.captured, books.voided) == (1, 1, 0)


def test_tok_declined_fails_and_leaves_nothing(stack: Stack, client: Client) -> None:
    seller = client.seller()
    payment = pay(client, seller, "tok_declined")
    assert payment["status"] == "failed"
    assert payment["failure"] == {"reason": "declined", "code": "card_declined"}
    assert ledger(client, payment["payment_id"]) == []
    assert client.get(f"/wallets/{seller}").body["balance"] == 0
    books = simulator_books(stack, payment["payment_id"])
    assert (books.authorized, books.captured, books.voided) == (0, 0, 0)


def test_a_capture_that_fails_is_voided(stack: Stack, client: Client) -> None:
    payment = pay(client, client.seller(), "tok_capture_fails")
    assert payment["status"] == "failed"
    assert payment["failure"]["reason"] == "capture_declined"
    assert payment["saga"]["completed_steps"] == ["AssessRisk", "Authorize", "Void", "Finish"]
    books = simulator_books(stack, payment["payment_id"])
    assert (books.authorized, books.captured, books.voided) == (1, 0, 1)
    assert ledger(client, payment["payment_id"]) == []


def test_the_same_request_again_is_answered_from_the_first(client: Client) -> None:
    seller, key = client.seller(), uuid.uuid4().hex
    body = {"amount": 5, "currency": "EUR", "payment_method": "tok_visa", "recipient": seller}
    first, again = client.post("/payments", body, key), client.post("/payments", body, key)
    assert (first.status, again.status) == (201, 201)
    assert first.raw == again.raw
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    other = client.post("/payments", body | {"amount": 6}, key)
    assert (other.status, other.body["error"]["code"]) == (422, "idempotency_key_reused")
    assert other.body["error"]["param"] == "amount"


def test_one_key_in_parallel_is_one_payment(client: Client) -> None:
    seller, key = client.seller(), uuid.uuid4().hex
    body = {"amount": 1_000, "currency": "EUR", "payment_method": "tok_visa", "recipient": seller}
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client.post("/payments", body, key), range(8)))
    assert {answer.status for answer in answers} == {201}
    assert len({answer.raw for answer in answers}) == 1
    client.ended(answers[0].body["payment_id"])
    assert client.wallet_with(seller, NET)["balance"] == NET


@pytest.mark.parametrize("machine", ["standard", "express"])
def test_two_executions_at_once_charge_once(stack: Stack, client: Client, machine: str) -> None:
    """The payment is accepted but not started, as after a crash; then two start at once."""
    seller = client.seller()
    tenant_id = stack.tenants[0].tenant_id
    command = replace(initiate(recipient=seller, tenant_id=tenant_id), provider="simulator")
    store = dynamo(stack)
    desk = Desk(store=store, accounts=store, clock=SystemClock(), ids=UlidIds())
    for round_number in range(3):
        accepted = desk.initiate_payment(command, once(uuid.uuid4().hex, tenant_id))
        assert isinstance(accepted, Accepted)
        payment_id = accepted.receipt.object_id
        executions = run_at_once(stack, machine, payment_id, count=2)
        payment = client.ended(payment_id)
        assert payment["status"] == "succeeded", payment
        books = simulator_books(stack, payment_id)
        assert (books.authorized, books.captured, books.voided) == (1, 1, 0)
        assert set(payment["saga"]["executions"]) <= set(executions)
        assert client.wallet_with(seller, NET * (round_number + 1))["balance"] == NET * (
            round_number + 1
        )


def run_at_once(stack: Stack, machine: str, payment_id: str, count: int) -> list[str]:
    """Start executions at the same time and wait until a STANDARD one has ended."""
    states = stack.client("stepfunctions")
    arn = stack.state_machines[machine]

    def start(number: int) -> str:
        started = states.start_execution(
            stateMachineArn=arn,
            name=f"{payment_id}-{machine}-{number}",
            input=json.dumps({"payment_id": payment_id}),
        )
        return str(started["executionArn"])

    with ThreadPoolExecutor(count) as pool:
        executions = list(pool.map(start, range(count)))
    if machine == "standard":
        for execution in executions:
            ended(states, execution)
    return executions


def ended(states: Any, execution: str) -> None:
    for _ in range(200):
        status = states.describe_execution(executionArn=execution)["status"]
        if status != "RUNNING":
            assert status == "SUCCEEDED", status
            return
        time.sleep(0.05)
    raise AssertionError(f"{execution} did not end")


def test_an_execution_for_no_payment_is_parked(stack: Stack, client: Client) -> None:
    states = stack.client("stepfunctions")
    started = states.start_execution(
        stateMachineArn=stack.state_machines["standard"],
        input=json.dumps({"payment_id": "pay_unheard_of"}),
    )
    for _ in range(200):
        if states.describe_execution(executionArn=started["executionArn"])["status"] == "FAILED":
            break
        time.sleep(0.05)
    for _ in range(200):
        found = client.get("/dead-letters?hop=payment&payment_id=pay_unheard_of").body["data"]
        if found:
            break
        time.sleep(0.05)
    (parked,) = found
    shown = client.get(f"/dead-letters/{parked['dead_letter_id']}").body
    assert json.loads(shown["payload"])["execution"] == started["executionArn"]
    refused = client.post(f"/dead-letters/{parked['dead_letter_id']}/redrive", {})
    assert (refused.status, refused.body["error"]["code"]) == (422, "not_redrivable")


def test_views_and_analytics_follow(stack: Stack, client: Client) -> None:
    seller = client.seller()
    payment = pay(client, seller, "tok_visa", amount=777)
    client.wallet_with(seller, 754)
    for _ in range(100):
        view = dynamo(stack).view(payment["payment_id"])
        if view is not None and view.status == "succeeded":
            break
        time.sleep(0.05)
    assert view is not None
    assert (view.kind, view.status, view.version) == ("payment", "succeeded", 6)

    dynamodb = stack.client("dynamodb")
    seen = {"id": {"S": f"event#{_last_event(client, payment)}"}, "item": {"S": "seen"}}
    for _ in range(200):
        found = dynamodb.get_item(TableName=stack.tables["analytics"], Key=seen)
        if "Item" in found:
            break
        time.sleep(0.05)
    assert "Item" in found, "the last public event was never counted"


def _last_event(client: Client, payment: Json) -> str:
    events = client.get(f"/payments/{payment['payment_id']}/events").body["data"]
    return str(events[-1]["event_id"])


GOOD = {"amount": 100, "currency": "EUR", "payment_method": "tok_visa"}
NOBODY = "acct_01JZ8Q4T6M3VX5N9RWCB7HD2EK"
WRONG = [
    (b'{"amount": 1', "400 body_malformed", None),
    (b"[]", "400 body_malformed", None),
    ({"amount": 0}, "400 parameter_invalid", "amount"),
    ({"amount": -1}, "400 parameter_invalid", "amount"),
    ({"amount": 10.5}, "400 parameter_invalid", "amount"),
    ({"amount": "100"}, "400 parameter_invalid", "amount"),
    ({"amount": 10**30}, "400 parameter_invalid", "amount"),
    ({"tip": 5, "amuont": 1}, "400 parameter_unknown", "amuont,tip"),
    ({"currency": "XXX"}, "422 currency_unknown", "currency"),
    ({"currency": "USD"}, "422 currency_differs", "currency"),
    ({"recipient": NOBODY}, "404 account_not_found", "recipient"),
]


@pytest.mark.parametrize(("body", "word", "param"), WRONG)
def test_wrong_input_gets_a_clear_error_and_changes_nothing(
    stack: Stack, client: Client, seller: str, body: Json | bytes, word: str, param: str | None
) -> None:
    before = everything(stack)
    sent = body if isinstance(body, bytes) else json.dumps({**GOOD, "recipient": seller, **body})
    data = sent if isinstance(sent, bytes) else sent.encode()
    answer = client.send("POST", "/payments", data, {"Idempotency-Key": uuid.uuid4().hex})
    error = answer.body["error"]
    assert f"{answer.status} {error['code']}" == word
    assert set(error) == {"type", "code", "message", "param", "transient", "request_id"}
    assert ",".join(sorted((error["param"] or "").split(","))) == (param or "")
    assert everything(stack) == before


def test_a_key_is_required_and_foreign_accounts_are_unknown(stack: Stack, client: Client) -> None:
    seller = client.seller()
    before = everything(stack)
    body = json.dumps({**GOOD, "recipient": seller}).encode()
    assert client.send("POST", "/payments", body).body["error"]["code"] == "idempotency_key_missing"
    stranger = Client.of(stack, tenant=1)
    theirs = stranger.post("/payments", {**GOOD, "recipient": seller})
    assert (theirs.status, theirs.body["error"]["code"]) == (404, "account_not_found")
    assert stranger.get(f"/wallets/{seller}").status == 404
    nobody = Client(stack.api_url, "sk_test_nobody")
    assert nobody.post("/payments", {**GOOD, "recipient": seller}).status == 401
    assert everything(stack) == before


@pytest.fixture(scope="module")
def seller(stack: Stack) -> str:
    return Client.of(stack).seller()


def everything(stack: Stack) -> dict[str, int]:
    """How many items the tables of facts and keys hold."""
    dynamodb = stack.client("dynamodb")
    tables = (stack.tables["events"], stack.tables["idempotency"])
    return {
        table: sum(
            page["Count"]
            for page in dynamodb.get_paginator("scan").paginate(TableName=table, Select="COUNT")
        )
        for table in tables
    }
