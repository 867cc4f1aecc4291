"""Whether the books hold, over HTTP and on the deployed stack, and what a run says when not."""

import json
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from infra.client import Client, Json
from infra.local import Stack
from infra.verify import told, verified
from verifier.handler import ALL_TENANTS

pytestmark = pytest.mark.parametrize("stack", ["plain"], indirect=True)
"""What conflicts and throttling do to money is asked elsewhere."""

PATIENCE_S = 60.0


@pytest.fixture
def client(stack: Stack) -> Client:
    return Client.of(stack)


@pytest.fixture
def other(stack: Stack) -> Client:
    return Client.of(stack, 1)


def paid(client: Client, seller: str, amount: int, currency: str = "EUR") -> str:
    body = {
        "amount": amount,
        "currency": currency,
        "payment_method": "tok_visa",
        "recipient": seller,
    }
    payment_id: str = client.created("/payments", body)["payment_id"]
    assert client.ended(payment_id)["status"] == "succeeded"
    return payment_id


def refunded(client: Client, payment_id: str, amount: int) -> None:
    client.created(f"/payments/{payment_id}/refund", {"amount": amount})
    client.payment_when(payment_id, lambda payment: payment["refunded"] == amount)


@pytest.fixture
def seller(client: Client) -> str:
    """A seller with two captured payments, one of them partly refunded, all in its wallet."""
    seller = client.seller()
    refunded(client, paid(client, seller, 1_000), 400)
    paid(client, seller, 5_000)
    assert client.wallet_with(seller, 582 + 4_850)["available"] == 582 + 4_850
    return seller


def quiet(client: Client) -> Json:
    """A run that finds nothing on its way any more."""
    deadline = time.monotonic() + PATIENCE_S
    while (run := verified(client, PATIENCE_S))["in_flight"]:
        assert time.monotonic() < deadline, run
    return run


def test_ledger_sum_zero_per_currency(client: Client, seller: str) -> None:
    yen = client.seller("JPY")
    paid(client, yen, 700, "JPY")
    run = quiet(client)
    assert run["balanced"] is True
    assert (run["findings"], run["findings_count"], run["unsettled"]) == ([], 0, 0)
    sums = {line["currency"]: line for line in run["currencies"]}
    assert {"EUR", "JPY"} <= sums.keys()
    for line in sums.values():
        assert line["total_debits"] == line["total_credits"] > 0
        assert line["difference"] == 0
    assert told("tenant", run)
    assert run["checked"]["accounts"] >= 2
    entries = 0
    for account in (seller, yen):
        data = client.get(f"/ledger?account_id={account}&limit=100").body["data"]
        for payment_id in {line["entry_id"].partition(":")[0] for line in data}:
            signed: dict[str, int] = defaultdict(int)
            for line in client.get(f"/ledger?payment_id={payment_id}&limit=100").body["data"]:
                sign = 1 if line["entry_type"] == "CREDIT" else -1
                signed[line["currency"]] += sign * line["amount"]
                entries += 1
            assert set(signed.values()) == {0}
    assert entries


def test_ledger_replay_equals_state(client: Client, seller: str) -> None:
    """The entries of the journal, added up anew, are what wallet and statement show."""
    data = client.get(f"/ledger?account_id={seller}&limit=100").body["data"]
    payments = {line["entry_id"].partition(":")[0] for line in data}
    account, balance, guarded = f"wallet:{seller}", 0, 0
    for payment_id in sorted(payments):
        for line in client.get(f"/payments/{payment_id}/ledger").body["data"]:
            if line["account"] == account:
                balance += line["amount"] * (1 if line["entry_type"] == "CREDIT" else -1)
                guarded += 1
    wallet = client.get(f"/wallets/{seller}").body
    assert (wallet["balance"], wallet["available"], wallet["held"]) == (balance, balance, 0)
    assert (data[0]["balance_after"], data[0]["number"]) == (balance, guarded)
    assert quiet(client)["findings"] == []


def test_the_same_key_is_the_same_run(client: Client) -> None:
    first = client.post("/ledger/verification", {}, "verify-once")
    again = client.post("/ledger/verification", {}, "verify-once")
    assert (first.status, again.status, again.raw) == (201, 201, first.raw)
    assert again.headers.get("idempotent-replayed") == "true"
    assert first.body["status"] == "running"
    assert verified(client)["verification_id"] >= first.body["verification_id"]


def test_every_day_all_tenants_are_verified(stack: Stack, client: Client, other: Client) -> None:
    """By the message of the schedule, which comes once a day and not while tests run."""
    before = [verified(one)["verification_id"] for one in (client, other)]
    stack.client("sqs").send_message(
        QueueUrl=stack.queues["verifier"], MessageBody=json.dumps(ALL_TENANTS)
    )
    deadline = time.monotonic() + 2 * PATIENCE_S
    for one, last in zip((client, other), before, strict=True):
        while (run := one.get("/ledger/verification").body["last"])["verification_id"] == last:
            assert time.monotonic() < deadline, run
            time.sleep(0.2)


def test_tenants_have_runs_of_their_own(client: Client, other: Client, seller: str) -> None:
    mine = verified(client)
    theirs = verified(other)
    assert mine["verification_id"] != theirs["verification_id"]
    assert theirs["findings"] == []
    assert seller not in json.dumps(theirs)


# Tampering, on the tables themselves.


def item_key(stack: Stack, seller: str, item: str) -> Json:
    tenant_id = stack.tenants[0].tenant_id
    return {"account": {"S": f"{tenant_id}#wallet:{seller}"}, "item": {"S": item}}


def add(stack: Stack, table: str, key: Json, attribute: str, by: int) -> None:
    stack.client("dynamodb").update_item(
        TableName=stack.tables[table],
        Key=key,
        UpdateExpression="ADD #attribute :by",
        ExpressionAttributeNames={"#attribute": attribute},
        ExpressionAttributeValues={":by": {"N": str(by)}},
    )


@pytest.fixture
def tampered(stack: Stack, client: Client) -> Iterator[Any]:
    """Adds to an attribute, and takes it back when the test is over."""
    undo: list[tuple[str, Json, str, int]] = []

    def tamper(table: str, key: Json, attribute: str, by: int) -> Json:
        add(stack, table, key, attribute, by)
        undo.append((table, key, attribute, -by))
        run = verified(client, PATIENCE_S)
        assert not told("tenant", run)
        return run

    yield tamper
    for change in undo:
        add(stack, *change)
    assert verified(client, PATIENCE_S)["findings"] == []


@pytest.mark.parametrize("by", [1, -1])
def test_a_guard_off_by_one_is_named(
    stack: Stack, client: Client, seller: str, tampered: Any, by: int
) -> None:
    quiet(client)
    run = tampered("accounts", item_key(stack, seller, "#guard"), "spendable", by)
    assert run["findings"] == [
        {"kind": "guard", "at": f"wallet:{seller}", "expected": "5432", "found": str(5_432 + by)}
    ]
    assert run["balanced"] is True


def test_the_amount_of_a_line_is_named(
    stack: Stack, client: Client, seller: str, tampered: Any
) -> None:
    quiet(client)
    newest = client.get(f"/ledger?account_id={seller}&limit=1").body["data"][0]
    entry_id = newest["entry_id"]
    run = tampered("accounts", item_key(stack, seller, f"line#{entry_id}"), "amount", 1)
    named = {(finding["kind"], finding["at"]) for finding in run["findings"]}
    assert named == {
        ("line_differs", f"wallet:{seller} {entry_id}"),
        ("balance_after", f"wallet:{seller} line 3"),
    }


def test_a_total_off_by_one_is_named(
    stack: Stack, client: Client, seller: str, tampered: Any
) -> None:
    quiet(client)
    account = f"{stack.tenants[0].tenant_id}#platform:fees#EUR"
    key = {"account": {"S": account}, "item": {"S": "total#00"}}
    add(stack, "accounts", key, "debits", 0)  # there may be no such part of the total
    run = tampered("accounts", key, "credits", 1)
    ((kind, at),) = {(finding["kind"], finding["at"]) for finding in run["findings"]}
    assert (kind, at) == ("total_credits", "platform:fees EUR")


# While payments go on.


def test_payments_that_go_on_are_never_a_finding(client: Client) -> None:
    seller = client.seller()

    def shop(number: int) -> None:
        for amount in range(4):
            payment_id = paid(client, seller, 1_000 + 10 * number + amount)
            client.post(f"/payments/{payment_id}/refund", {"amount": 100})

    with ThreadPoolExecutor(3) as pool:
        shops = [pool.submit(shop, number) for number in range(3)]
        runs = [verified(client, PATIENCE_S)]
        while not all(shop.done() for shop in shops):
            runs.append(verified(client, PATIENCE_S))
    for done in shops:
        done.result()
    assert [run["findings"] for run in runs] == [[] for _ in runs]
    assert all(run["balanced"] for run in runs)
    last = quiet(client)
    assert (last["findings"], last["unsettled"]) == ([], 0)
