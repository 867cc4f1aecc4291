"""The hops on AWS, as a redrive reaches them: each takes a letter the way it takes its work.

reader of the events stream    its function, called with the record rebuilt from the table
listener of the bus            its queue, with the message as it was
state machine                  a new execution for the payment
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from florin.adapters.aws import error_code
from florin.ports import DeadLetter, HopUnavailableError, NotRedrivableError, Passed

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_stepfunctions import SFNClient

Item = dict[str, Any]

NAMES_MAX: Final = 10
"""How many names of executions are tried that others have used already."""


@contextmanager
def _taken() -> Iterator[None]:
    """Whatever AWS refuses inside was not taken."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise HopUnavailableError(str(error)) from error


class StoredEvents:
    """The events table, for those who need an event as it is stored, a stream's end, or a walk."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def item(self, stream: str, version: int) -> Item | None:
        """One event, untouched: also one that this code cannot read."""
        found = self._query(
            "#stream = :stream AND version = :version",
            {":stream": {"S": stream}, ":version": {"N": str(version)}},
        )
        return found[0] if found else None

    def last(self, stream: str) -> Item | None:
        """The event that a stream ends with."""
        found = self._query("#stream = :stream", {":stream": {"S": stream}})
        return found[0] if found else None

    def owner(self, stream: str) -> str | None:
        """The tenant whose stream this is."""
        last = self.last(stream)
        return None if last is None or "tenant_id" not in last else str(last["tenant_id"]["S"])

    def walk(self, segment: int = 0, segments: int = 1) -> Iterator[Passed]:
        request: Any = {
            "TableName": self._table,
            "Segment": segment,
            "TotalSegments": segments,
            "ProjectionExpression": "#stream, version, tenant_id, #type, recorded_at",
            "ExpressionAttributeNames": {"#stream": "stream", "#type": "type"},
        }
        while True:
            answer = self._client.scan(**request)
            for item in answer["Items"]:
                yield Passed(
                    stream=item["stream"]["S"],
                    version=int(item["version"]["N"]),
                    tenant_id=item["tenant_id"]["S"],
                    type=item["type"]["S"],
                    recorded_at=datetime.fromisoformat(item["recorded_at"]["S"]),
                )
            if "LastEvaluatedKey" not in answer:
                return
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def _query(self, condition: str, values: Any) -> list[Item]:
        answer: Any = self._client.query(
            TableName=self._table,
            KeyConditionExpression=condition,
            ExpressionAttributeNames={"#stream": "stream"},
            ExpressionAttributeValues=values,
            ConsistentRead=True,
            ScanIndexForward=False,
            Limit=1,
        )
        items: list[Item] = answer["Items"]
        return items


def stream_record(item: Item) -> Item:
    """An event as the table's stream told of it when it was written."""
    return {
        "eventName": "INSERT",
        "dynamodb": {
            "Keys": {"stream": item["stream"], "version": item["version"]},
            "NewImage": item,
        },
    }


class ReaderHop:
    """A reader of the stream. Its record comes from the table, whose events are for ever."""

    def __init__(self, events: StoredEvents, client: "LambdaClient", function: str) -> None:
        self._events = events
        self._client = client
        self._function = function

    def take(self, letter: DeadLetter) -> None:
        if letter.stream is None or letter.version is None:
            raise NotRedrivableError("it names no event")
        with _taken():
            item = self._events.item(letter.stream, letter.version)
            if item is None:
                raise NotRedrivableError(f"{letter.stream} has no event {letter.version}")
            # And waited for: who redrives wants to know.
            answer = self._client.invoke(
                FunctionName=self._function,
                Payload=json.dumps({"Records": [stream_record(item)]}).encode(),
            )
        if answer.get("FunctionError"):
            raise HopUnavailableError(f"{self._function} failed")


class QueueHop:
    """A listener with a queue, which gets the message once more."""

    def __init__(self, client: "SQSClient", queue_url: str) -> None:
        self._client = client
        self._queue_url = queue_url

    def take(self, letter: DeadLetter) -> None:
        with _taken():
            self._client.send_message(QueueUrl=self._queue_url, MessageBody=letter.payload)


class MachineHop:
    """A state machine, of which the payment gets a new execution.

    Its name tells what it continues, `{payment}-v{version}-r{redrive}`. A name that somebody else
    has used counts as started only while that execution runs.
    """

    def __init__(self, events: StoredEvents, client: "SFNClient", arn: str) -> None:
        self._events = events
        self._client = client
        self._arn = arn

    def take(self, letter: DeadLetter) -> None:
        if letter.stream is None:
            raise NotRedrivableError("it names no payment")
        with _taken():
            last = self._events.last(letter.stream)
            if last is None:
                raise NotRedrivableError(f"there is no payment {letter.stream}")
            prefix = f"{letter.stream}-v{last['version']['N']}-r"
            for number in range(letter.redrives, letter.redrives + NAMES_MAX):
                if self._start(letter.stream, f"{prefix}{number}"):
                    return
        raise HopUnavailableError(f"{NAMES_MAX} names after {prefix}{letter.redrives} are used")

    def _start(self, payment_id: str, name: str) -> bool:
        try:
            self._client.start_execution(
                stateMachineArn=self._arn, name=name, input=json.dumps({"payment_id": payment_id})
            )
        except ClientError as error:
            if error_code(error) != "ExecutionAlreadyExists":
                raise
            execution = f"{self._arn.replace(':stateMachine:', ':execution:', 1)}:{name}"
            return self._runs(execution)
        return True

    def _runs(self, execution: str) -> bool:
        try:
            return self._client.describe_execution(executionArn=execution)["status"] == "RUNNING"
        except ClientError:  # an EXPRESS one cannot be described; another name does no harm
            return False
