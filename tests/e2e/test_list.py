"""The list of payments over HTTP: it follows the events soon, and its pages are complete."""

import time
from collections.abc import Callable
from urllib.parse import urlencode

import pytest

from infra.client import Client, Json
from infra.local import Stack

pytestmark = pytest.mark.parametrize("stack", ["plain"], indirect=True)
"""What conflicts and throttling do to money is asked elsewhere."""

PATIENCE_S = 30.0
POLL_S = 0.1


@pytest.fixture
def client(stack: Stack) -> Client:
    return Client.of(stack)


def listed(client: Client, **query: object) -> list[Json]:
    """Everything that a query finds, page by page."""
    found: list[Json] = []
    while True:
        answer = client.get(f"/payments?{urlencode(query)}")
        assert answer.status == 200, answer
        found += answer.body["data"]
        if not answer.body["has_more"]:
            return found
        query["starting_after"] = found[-1]["payment_id"]


def soon(look: Callable[[], list[Json]], ready: Callable[[list[Json]], bool]) -> list[Json]:
    """What is found once it is as expected: the list follows the events by their stream."""
    deadline = time.monotonic() + PATIENCE_S
    while not ready(found := look()):
        assert time.monotonic() < deadline, found
        time.sleep(POLL_S)
    return found


def test_payments_are_listed_page_by_page_as_they_are(stack: Stack, client: Client) -> None:
    seller, bystander = client.seller(), client.seller()

    def pay(order_id: str, recipient: str = seller, **more: object) -> str:
        body = {"amount": 1_000, "currency": "EUR", "payment_method": "tok_visa"}
        payment: Json = client.created(
            "/payments", {**body, "recipient": recipient, "order_id": order_id, **more}
        )
        return str(payment["payment_id"])

    payments = [pay(f"{seller}-{number}") for number in range(4)]
    payments.append(pay(f"{seller}-0", payment_method="tok_declined"))
    other = pay(f"{seller}-0", bystander)
    for payment_id in (*payments, other):
        client.ended(payment_id)

    def of_seller() -> list[Json]:
        return listed(client, account=seller, limit=2)

    ended = ["failed", *["succeeded"] * 4]
    found = soon(of_seller, lambda seen: [one["status"] for one in seen] == ended)
    assert [one["payment_id"] for one in found] == payments[::-1]
    for told in found:
        shown = client.get(f"/payments/{told['payment_id']}").body
        told.pop("updated_at")
        assert told == {name: shown[name] for name in told}

    def ids(**query: object) -> list[str]:
        return [one["payment_id"] for one in listed(client, **query)]

    soon(lambda: listed(client, order_id=f"{seller}-0"), lambda seen: len(seen) == 3)
    assert ids(order_id=f"{seller}-0") == [other, payments[4], payments[0]]
    assert ids(account=seller, status="failed") == [payments[4]]
    assert ids(account=seller, status="succeeded", limit=1) == payments[3::-1]
    span = {"from": found[3]["created_at"], "to": found[1]["created_at"]}
    assert ids(account=seller, **span) == payments[2:0:-1]
    assert set(ids(limit=100)) >= {*payments, other}

    stranger = Client.of(stack, tenant=1)
    assert listed(stranger, account=seller) == []
    assert listed(stranger, order_id=f"{seller}-0") == []
    assert not {one["payment_id"] for one in listed(stranger, limit=100)} & {*payments, other}
