"""Payments counted by tenant, day, type and currency: each event once, however often it comes.

    id                   item                          attributes
    event#{event id}     seen                          expires_at (the table forgets it by TTL)
    {tenant}#{day}       {type}#{currency}             payments, amount

The mark that an event was seen and the numbers that it adds to are written in one transaction.
All events of a tenant's day meet at the same numbers, so whoever meets another one tries again
here: back in the queue a message would wait a minute, and a busy hour would end in dead letters.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any, Final

from botocore.exceptions import ClientError

from florin.adapters import aws
from florin.adapters.patience import BUSY_REASONS
from florin.edge import wiring
from florin.edge.pause import pause
from florin.edge.queues import QueueHandler

TRIES_MAX: Final = 8
SEEN_FOR_S: Final = 35 * 24 * 3600
"""Longer than any queue or archive on the way here keeps a message."""


@cache
def _client() -> Any:
    return aws.client("dynamodb")


def seen_key(event_id: str) -> dict[str, Any]:
    """Where the mark of an event stands."""
    return {"id": {"S": f"event#{event_id}"}, "item": {"S": "seen"}}


def count(message: Mapping[str, Any], table: str) -> bool:
    """Count one message of the bus; false if it was counted before."""
    detail = message["detail"]
    recorded_at = datetime.fromisoformat(detail["recorded_at"])
    data = detail["data"]
    amount_minor, currency = data.get("amount", 0), data.get("currency", "none")
    seen = seen_key(detail["event_id"]) | {
        "expires_at": {"N": str(int(recorded_at.timestamp()) + SEEN_FOR_S)},
    }
    numbers = {
        "id": {"S": f"{detail['tenant_id']}#{recorded_at.date().isoformat()}"},
        "item": {"S": f"{detail['type']}#{currency}"},
    }
    writes = [
        {
            "Put": {
                "TableName": table,
                "Item": seen,
                "ConditionExpression": "attribute_not_exists(id)",
            }
        },
        {
            "Update": {
                "TableName": table,
                "Key": numbers,
                "UpdateExpression": "ADD payments :one, amount :minor",
                "ExpressionAttributeValues": {
                    ":one": {"N": "1"},
                    ":minor": {"N": str(amount_minor)},
                },
            }
        },
    ]
    for tried in range(TRIES_MAX):
        try:
            _client().transact_write_items(TransactItems=writes)
        except ClientError as error:
            given: Any = error.response.get("CancellationReasons", ())
            reasons = {reason.get("Code") for reason in given}
            if "ConditionalCheckFailed" in reasons:
                return False
            if tried == TRIES_MAX - 1 or not reasons & BUSY_REASONS:
                raise
            pause(tried)
        else:
            return True
    raise AssertionError("the last try returns or raises")


def work(body: str) -> None:
    count(json.loads(body), wiring.setting("ANALYTICS_TABLE"))


handler = QueueHandler(hop="analytics", work=work, parking=wiring.parking, retries=wiring.retries)
