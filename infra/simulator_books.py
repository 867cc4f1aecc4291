"""What the provider simulator says was done, read from its own table."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from infra.local import Stack


@dataclass(frozen=True)
class SimulatorBooks:
    """The provider's side of one payment: how often it held, took, let go of and gave back money.

    The engine has no part in these numbers: two calls under two idempotency keys count as two.
    `captured_amount` and `refunded_amount` are sums in minor units.
    """

    authorized: int
    captured: int
    voided: int
    refunded: int
    captured_amount: int
    refunded_amount: int


def simulator_books(stack: Stack, payment_id: str) -> SimulatorBooks:
    """Count the approved operations of a payment in the simulator's books."""
    answer: Any = stack.client("dynamodb").query(
        TableName=stack.tables["simulator"],
        KeyConditionExpression="book = :order",
        ExpressionAttributeValues={":order": {"S": f"order#{payment_id}"}},
        ConsistentRead=True,
    )
    times: Counter[str] = Counter()
    amounts: Counter[str] = Counter()
    for item in answer["Items"]:
        if item["status"]["S"] == "approved":
            operation = item["operation"]["S"]
            times[operation] += 1
            amounts[operation] += int(item["amount"]["N"])
    return SimulatorBooks(
        authorized=times["authorization"],
        captured=times["capture"],
        voided=times["void"],
        refunded=times["refund"],
        captured_amount=amounts["capture"],
        refunded_amount=amounts["refund"],
    )
