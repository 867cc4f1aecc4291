"""That the busy stack is busy: else the rest of these tests would prove nothing on it."""

import pytest

from infra.client import Client
from infra.local import Stack
from tests.support.fault_proxy import FaultProxy

CONFLICTS = {
    ("TransactWriteItems", "TransactionCanceledException"),
    ("PutItem", "TransactionConflictException"),
}
THROTTLING = {("GetItem", "ThrottlingException"), ("Query", "ThrottlingException")}


def test_dynamodb_refuses_and_the_money_is_right(
    stack: Stack, proxy: FaultProxy, request: pytest.FixtureRequest
) -> None:
    client = Client.of(stack)
    seller = client.seller()
    body = {"amount": 1_000, "currency": "EUR", "payment_method": "tok_visa", "recipient": seller}
    for _ in range(3):
        payment_id = client.created("/payments", body)["payment_id"]
        assert client.ended(payment_id)["status"] == "succeeded"
    assert client.wallet_with(seller, 2_910)["balance"] == 2_910
    if "busy" in request.node.name:
        assert proxy.injected.keys() >= CONFLICTS | THROTTLING
    else:
        assert not proxy.injected
