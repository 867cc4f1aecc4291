"""The hops on AWS, as a redrive reaches them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from moto import mock_aws

from florin.adapters.aws import SqsRetries
from florin.adapters.dynamodb import Dynamo
from florin.adapters.hops import NAMES_MAX, MachineHop, QueueHop, ReaderHop, StoredEvents
from florin.ports import DeadLetter, HopUnavailableError, LetterState, NotRedrivableError
from tests.support.examples import NOON, TENANT, accepted_payment
from tests.support.tables import make_tables

ARN = "arn:aws:states:eu-central-1:123456789012:stateMachine:Payment"


@pytest.fixture
def client() -> Iterator[Any]:
    with mock_aws():
        yield boto3.client("dynamodb", region_name="us-east-1")


@pytest.fixture
def tables(client: Any) -> Any:
    return make_tables(client, "test")


@pytest.fixture
def events(client: Any, tables: Any) -> StoredEvents:
    return StoredEvents(client, tables.events)


@pytest.fixture
def payment_id(client: Any, tables: Any) -> str:
    return accepted_payment(Dynamo(client, tables))


def letter(stream: str | None, version: int | None = 1, **more: Any) -> DeadLetter:
    return DeadLetter(
        letter_id="dl_1",
        hop="projector",
        cause="LookupError",
        payload=more.pop("payload", "{}"),
        tenant_id=TENANT,
        stream=stream,
        version=version,
        first_seen=NOON,
        last_seen=NOON,
        seen=1,
        state=LetterState.OPEN,
        redrives=more.pop("redrives", 1),
        revision=1,
    )


@dataclass
class Functions:
    """Lambda, as far as a redrive sees it."""

    error: Any = None
    events: list[Any] = field(default_factory=list)

    def invoke(self, FunctionName: str, Payload: bytes) -> Any:  # noqa: N803  # the SDK's names
        if isinstance(self.error, Exception):
            raise self.error
        self.events.append((FunctionName, json.loads(Payload)))
        return {"FunctionError": self.error} if self.error else {}


def test_dlq_a_record_is_rebuilt_from_the_table(
    client: Any, tables: Any, events: StoredEvents, payment_id: str
) -> None:
    functions: Any = Functions()
    ReaderHop(events, functions, "reader").take(letter(payment_id))
    ((name, event),) = functions.events
    (record,) = event["Records"]
    key = {"stream": {"S": payment_id}, "version": {"N": "1"}}
    assert (name, record["eventName"], record["dynamodb"]["Keys"]) == ("reader", "INSERT", key)
    assert (
        record["dynamodb"]["NewImage"] == client.get_item(TableName=tables.events, Key=key)["Item"]
    )


@pytest.mark.parametrize(
    ("stream", "version"), [(None, 1), ("pay_1", None), ("pay_unheard_of", 1), ("", 2)]
)
def test_dlq_what_names_no_event_is_not_redrivable(
    events: StoredEvents, stream: str | None, version: int | None
) -> None:
    functions: Any = Functions()
    with pytest.raises((NotRedrivableError, HopUnavailableError)):
        ReaderHop(events, functions, "reader").take(letter(stream, version))
    assert functions.events == []


@pytest.mark.parametrize(
    "error",
    [
        "Unhandled",
        ClientError({"Error": {"Code": "TooManyRequestsException"}}, "Invoke"),
        EndpointConnectionError(endpoint_url="http://nowhere"),
    ],
)
def test_dlq_a_reader_that_fails_has_not_taken_it(
    events: StoredEvents, payment_id: str, error: Any
) -> None:
    functions: Any = Functions(error)
    with pytest.raises(HopUnavailableError):
        ReaderHop(events, functions, "reader").take(letter(payment_id))


def test_dlq_a_message_goes_to_its_queue_as_it_was(client: Any) -> None:
    sqs = boto3.client("sqs", region_name="us-east-1")
    url = sqs.create_queue(QueueName="listener")["QueueUrl"]
    QueueHop(sqs, url).take(letter(None, payload="no json"))
    (message,) = sqs.receive_message(QueueUrl=url)["Messages"]
    assert message["Body"] == "no json"
    SqsRetries(sqs, url).later(message["ReceiptHandle"], 0)
    assert sqs.receive_message(QueueUrl=url)["Messages"][0]["Body"] == "no json"
    with pytest.raises(HopUnavailableError):
        QueueHop(sqs, f"{url}-gone").take(letter(None))


@dataclass
class States:
    """Step Functions, where some names are used, by executions that run or have ended."""

    used: dict[str, str] = field(default_factory=dict)
    started: list[str] = field(default_factory=list)

    def start_execution(self, stateMachineArn: str, name: str, input: str) -> Any:  # noqa: A002, N803  # the SDK's names
        if name in self.used:
            raise ClientError({"Error": {"Code": "ExecutionAlreadyExists"}}, "StartExecution")
        self.started.append(name)
        assert stateMachineArn == ARN
        assert json.loads(input).keys() == {"payment_id"}

    def describe_execution(self, executionArn: str) -> Any:  # noqa: N803  # the SDK's name
        prefix, _, name = executionArn.rpartition(":")
        assert prefix == "arn:aws:states:eu-central-1:123456789012:execution:Payment"
        if self.used[name] == "EXPRESS":
            raise ClientError({"Error": {"Code": "InvalidArn"}}, "DescribeExecution")
        return {"status": self.used[name]}


@pytest.mark.parametrize(
    ("used", "started"),
    [
        ({}, ["r3"]),
        ({"r3": "RUNNING"}, []),
        ({"r3": "FAILED"}, ["r4"]),
        ({"r3": "SUCCEEDED", "r4": "EXPRESS"}, ["r5"]),
    ],
)
def test_dlq_a_payment_gets_a_new_execution(
    events: StoredEvents, payment_id: str, used: dict[str, str], started: list[str]
) -> None:
    prefix = f"{payment_id}-v1-"
    states: Any = States({prefix + name: status for name, status in used.items()})
    MachineHop(events, states, ARN).take(letter(payment_id, redrives=3))
    assert states.started == [prefix + name for name in started]


def test_dlq_a_payment_whose_names_are_all_used_is_not_started(
    events: StoredEvents, payment_id: str
) -> None:
    states: Any = States({f"{payment_id}-v1-r{n}": "FAILED" for n in range(1, NAMES_MAX + 1)})
    with pytest.raises(HopUnavailableError, match="names"):
        MachineHop(events, states, ARN).take(letter(payment_id))


@pytest.mark.parametrize("stream", [None, "pay_unheard_of"])
def test_dlq_no_payment_is_not_redrivable(events: StoredEvents, stream: str | None) -> None:
    states: Any = States()
    with pytest.raises(NotRedrivableError):
        MachineHop(events, states, ARN).take(letter(stream))


def test_whose_a_stream_is(events: StoredEvents, payment_id: str) -> None:
    assert events.owner(payment_id) == TENANT
    assert events.owner("pay_unheard_of") is None


def test_a_walk_comes_by_every_event_once(client: Any, tables: Any, events: StoredEvents) -> None:
    store = Dynamo(client, tables)
    payments = {accepted_payment(store, f"key-{number}") for number in range(7)}
    passed = [event for segment in range(3) for event in events.walk(segment, 3)]
    assert {event.stream for event in passed} == payments
    assert len(passed) == 7
    event = passed[0]
    (recorded,) = store.read(event.stream).events
    assert (event.event_id, event.type) == (recorded.event_id, recorded.type)
    assert (event.version, event.tenant_id) == (1, TENANT)
    assert event.recorded_at == recorded.recorded_at


def test_a_walk_goes_on_where_a_page_ended(client: Any, tables: Any, payment_id: str) -> None:
    class Paging:
        """A table of two pages, the second of which has what the first has."""

        def scan(self, **request: Any) -> Any:
            first = request.pop("ExclusiveStartKey", None) is None
            answer = client.scan(**request)
            return answer | ({"LastEvaluatedKey": {"stream": {"S": "a"}}} if first else {})

    paging: Any = Paging()
    assert len(list(StoredEvents(paging, tables.events).walk())) == 2
