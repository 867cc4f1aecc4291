"""Calls for the verifier, through its queue."""

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


class SqsWakeups:
    def __init__(self, sqs: "SQSClient", queue_url: str) -> None:
        self._sqs = sqs
        self._queue_url = queue_url

    def wake(self, tenant_id: str, run_id: str, wait_s: int = 0) -> None:
        body = json.dumps({"tenant_id": tenant_id, "run_id": run_id})
        self._sqs.send_message(QueueUrl=self._queue_url, MessageBody=body, DelaySeconds=wait_s)
