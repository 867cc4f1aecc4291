"""The fees of a tenant that has a schedule of its own, from its item to the books."""

import pytest

from infra.client import Client, Json
from infra.local import Stack
from tests.support.tenants import with_tenant


@pytest.fixture(scope="module")
def client(stack: Stack) -> Client:
    """A new tenant that takes 2.9 per cent and 30 cents of a payment in dollars, and keeps it."""
    schedule = {
        "fee_basis_points": 250,
        "fee_basis_points_in": {"USD": 290},
        "fee_fixed_minor": {"USD": 30},
        "fee_on_refund": "keep",
    }
    return Client.of(with_tenant(stack, "Siena Gold", schedule))


def paid(client: Client, seller: str, currency: str) -> Json:
    body = {"amount": 1_000, "currency": currency, "payment_method": "tok_visa"}
    payment_id = client.created("/payments", body | {"recipient": seller})["payment_id"]
    return client.ended(payment_id)


def refunded(client: Client, payment_id: str, amount: int, so_far: int) -> None:
    answer = client.post(f"/payments/{payment_id}/refund", {"amount": amount})
    assert answer.status == 201, answer
    client.payment_when(payment_id, lambda payment: payment["refunded"] == so_far)


def test_the_platform_keeps_its_fee_on_every_refund(client: Client) -> None:
    seller = client.seller("USD")
    payment = paid(client, seller, "USD")
    payment_id = payment["payment_id"]
    assert (payment["fees"], payment["net_amount"]) == (59, 941)
    refunded(client, payment_id, 500, so_far=500)
    assert client.wallet_with(seller, 441)["balance"] == 441
    refunded(client, payment_id, 441, so_far=941)
    assert client.wallet_with(seller, 0)["balance"] == 0
    broke = client.post(f"/payments/{payment_id}/refund", {"amount": 59})
    assert (broke.status, broke.body["error"]["code"]) == (402, "insufficient_funds")

    paid(client, seller, "USD")
    assert client.wallet_with(seller, 941)["balance"] == 941
    refunded(client, payment_id, 59, so_far=1_000)
    assert client.get(f"/payments/{payment_id}").body["status"] == "refunded"
    assert client.wallet_with(seller, 882)["balance"] == 882
    lines = client.get(f"/payments/{payment_id}/ledger").body["data"]
    fees = [
        (one["entry_type"], one["amount"]) for one in lines if one["account"] == "platform:fees"
    ]
    assert fees == [("CREDIT", 59)]


def test_other_currencies_have_the_schedules_percentage(client: Client) -> None:
    payment = paid(client, client.seller("KWD"), "KWD")
    assert (payment["fees"], payment["net_amount"]) == (25, 975)
