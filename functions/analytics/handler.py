"""Payments counted by tenant, day, type and currency: each event once, however often it comes.

    id                   item                          attributes
    event#{event id}     seen                          expires_at (the table forgets it by TTL)
    {tenant}#{day}       {type}#{currency}             payments, amount

The mark that an event was seen and the numbers that it adds to are written in one transaction.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any, Final

from botocore.exceptions import ClientError

from florin.adapters import aws
from florin.edge import wiring
from florin.edge.queues import QueueHandler

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
    try:
        _client().transact_write_items(
            TransactItems=[
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
        )
    except ClientError as error:
        reasons: Any = error.response.get("CancellationReasons", ())
        if any(reason.get("Code") == "ConditionalCheckFailed" for reason in reasons):
            return False
        raise
    return True


def work(body: str) -> None:
    count(json.loads(body), wiring.setting("ANALYTICS_TABLE"))


handler = QueueHandler(hop="analytics", work=work, parking=wiring.parking, retries=wiring.retries)
