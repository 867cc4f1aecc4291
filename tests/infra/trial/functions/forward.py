"""Sends the id of each changed item to a queue."""

from __future__ import annotations

import os
from typing import Any

import botocore.session

sqs: Any = botocore.session.get_session().create_client("sqs")


def handler(event: dict[str, Any], context: object) -> None:
    print("forwarding")
    for record in event["Records"]:
        sqs.send_message(
            QueueUrl=os.environ["QUEUE_URL"], MessageBody=record["dynamodb"]["Keys"]["id"]["S"]
        )
