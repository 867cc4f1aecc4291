"""What the provider simulator says was done, read from its own table."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from infra.local import Stack


@dataclass(frozen=True)
class SimulatorBooks:
    """The provider's side of one payment: how often it held, took and let go of money.

    The engine has no part in these numbers: two calls under two idempotency keys count as two.
    """

    authorized: int
    captured: int
    voided: int


def simulator_books(stack: Stack, payment_id: str) -> SimulatorBooks:
    """Count the approved operations of a payment in the simulator's books."""
    answer: Any = stack.client("dynamodb").query(
        TableName=stack.tables["simulator"],
        KeyConditionExpression="book = :order",
        ExpressionAttributeValues={":order": {"S": f"order#{payment_id}"}},
        ConsistentRead=True,
    )
    approved = Counter(
        item["operation"]["S"] for item in answer["Items"] if item["status"]["S"] == "approved"
    )
    return SimulatorBooks(
        authorized=approved["authorization"], captured=approved["capture"], voided=approved["void"]
    )
