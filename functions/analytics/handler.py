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
from florin.edge import log, wiring

SEEN_FOR_S: Final = 35 * 24 * 3600
"""Longer than any queue or archive on the way here keeps a message."""


@cache
def _client() -> Any:
    return aws.client("dynamodb")


def count(message: Mapping[str, Any], table: str) -> bool:
    """Count one message of the bus; false if it was counted before."""
    detail = message["detail"]
    recorded_at = datetime.fromisoformat(detail["recorded_at"])
    data = detail["data"]
    amount_minor, currency = data.get("amount", 0), data.get("currency", "none")
    seen = {
        "id": {"S": f"event#{detail['event_id']}"},
        "item": {"S": "seen"},
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


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """A batch of the queue; what fails is left there, and ends in the dead-letter queue."""
    failed, counted = [], 0
    for record in event["Records"]:
        try:
            counted += count(json.loads(record["body"]), wiring.setting("ANALYTICS_TABLE"))
        except Exception as error:  # noqa: BLE001  # whatever it is, it is kept with its cause
            log.error("not counted", message_id=record["messageId"], cause=repr(error))
            failed.append({"itemIdentifier": record["messageId"]})
    log.line("analytics", messages=len(event["Records"]), counted=counted, failed=len(failed))
    return {"batchItemFailures": failed}
