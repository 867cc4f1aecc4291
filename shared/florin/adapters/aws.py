"""AWS clients as the engine makes them, and small adapters over all but DynamoDB."""

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import cache
from math import ceil
from typing import TYPE_CHECKING, Any, Final

import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError

from florin.ports import Message

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_stepfunctions import SFNClient

DELAY_MAX_S: Final = 900
"""How long SQS keeps a message back at most."""
EVENT_SOURCE: Final = "florin"
BUS_ENTRIES_MAX: Final = 10
"""What one PutEvents call takes."""

TRIES_MAX: Final = 3
READ_TIMEOUT_S: Final = 2.5
"""With `TRIES_MAX` of them a call ends before the function that makes it: who waits for that
function gets our answer and not the gateway's."""


@cache
def _session() -> botocore.session.Session:
    return botocore.session.get_session()


def client(service: str, tries_max: int = TRIES_MAX, read_timeout_s: float = READ_TIMEOUT_S) -> Any:
    """A client for a service, by its botocore name."""
    config = Config(
        connect_timeout=1,
        read_timeout=read_timeout_s,
        retries={"mode": "standard", "total_max_attempts": tries_max},
        # Our requests are built by one module each and tested; the check costs a tenth of a call.
        parameter_validation=False,
    )
    return _session().create_client(service, config=config)


def error_code(error: ClientError) -> str:
    """The code by which AWS names an error."""
    return str(error.response.get("Error", {}).get("Code", ""))


def secret(secrets: "SecretsManagerClient", secret_id: str) -> str:
    """The current value of a secret."""
    return secrets.get_secret_value(SecretId=secret_id)["SecretString"]


def labeled_secret(secrets: "SecretsManagerClient", secret_id: str, label: str) -> str | None:
    """The version of a secret that has this label, if one has."""
    try:
        found = secrets.get_secret_value(SecretId=secret_id, VersionStage=label)
    except ClientError as error:
        if error_code(error) == "ResourceNotFoundException":
            return None
        raise
    return found["SecretString"]


class StepFunctionsSagas:
    """Starts executions of the two state machines, both STANDARD or both EXPRESS."""

    def __init__(self, states: "SFNClient", payment_arn: str, follow_up_arn: str) -> None:
        self._states = states
        self._payment_arn = payment_arn
        self._follow_up_arn = follow_up_arn

    def start(self, payment_id: str, version: int) -> None:
        self._start(self._payment_arn, payment_id, version)

    def follow_up(self, payment_id: str, version: int) -> None:
        self._start(self._follow_up_arn, payment_id, version)

    def resume(self, payment_id: str, version: int, label: str, *, authorized: bool) -> None:
        arn = self._follow_up_arn if authorized else self._payment_arn
        self._start(arn, payment_id, version, f"-{label}")

    def _start(self, arn: str, payment_id: str, version: int, label: str = "") -> None:
        try:
            self._states.start_execution(
                stateMachineArn=arn,
                name=f"{payment_id}-v{version}{label}",
                input=json.dumps({"payment_id": payment_id}),
            )
        except ClientError as error:
            # The name says which append it follows, so an execution of this name began after it.
            if error_code(error) != "ExecutionAlreadyExists":
                raise


class SqsWakeups:
    """Sends itself a message that comes later: SQS keeps one for up to 15 minutes."""

    def __init__(self, queues: "SQSClient", queue_url: str) -> None:
        self._queues = queues
        self._queue_url = queue_url

    def wake(self, payment_id: str, number: int, delay: timedelta) -> None:
        self._queues.send_message(
            QueueUrl=self._queue_url,
            MessageBody=json.dumps({"payment_id": payment_id, "number": number}),
            DelaySeconds=min(max(0, ceil(delay.total_seconds())), DELAY_MAX_S),
        )


class EventBridgeBus:
    def __init__(self, events: "EventBridgeClient", bus_name: str) -> None:
        self._events = events
        self._bus = bus_name

    def publish(self, messages: Sequence[Message]) -> Sequence[Message]:
        failed: list[Message] = []
        for start in range(0, len(messages), BUS_ENTRIES_MAX):
            chunk = messages[start : start + BUS_ENTRIES_MAX]
            answer = self._events.put_events(
                Entries=[
                    {
                        "Source": EVENT_SOURCE,
                        "DetailType": message.type,
                        "Detail": json.dumps(_detail(message)),
                        "EventBusName": self._bus,
                        "Time": message.recorded_at,
                    }
                    for message in chunk
                ]
            )
            failed += [
                message
                for message, entry in zip(chunk, answer["Entries"], strict=True)
                if entry.get("ErrorCode")
            ]
        return tuple(failed)


def _detail(message: Message) -> Mapping[str, object]:
    return {
        "event_id": message.event_id,
        "type": message.type,
        "tenant_id": message.tenant_id,
        "stream": message.stream,
        "version": message.version,
        "recorded_at": message.recorded_at.isoformat(timespec="milliseconds"),
        "data": message.data,
    }


class SqsParking:
    """Parks what a hop could not work on in that hop's queue."""

    def __init__(self, sqs: "SQSClient", queue_url: str) -> None:
        self._sqs = sqs
        self._queue_url = queue_url

    def park(self, hop: str, cause: str, payload: Mapping[str, object]) -> None:
        body = json.dumps({"hop": hop, "cause": cause, "payload": payload}, default=str)
        self._sqs.send_message(QueueUrl=self._queue_url, MessageBody=body)


class SqsRetries:
    """Paces what comes again: the queue itself knows one pause for all."""

    def __init__(self, sqs: "SQSClient", queue_url: str) -> None:
        self._sqs = sqs
        self._queue_url = queue_url

    def later(self, receipt: str, delay_s: int) -> None:
        self._sqs.change_message_visibility(
            QueueUrl=self._queue_url, ReceiptHandle=receipt, VisibilityTimeout=delay_s
        )
