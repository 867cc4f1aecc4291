"""The readers of the events stream: what they work on, what they park, and when they fail."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError

from florin.adapters.codec import CorruptEventError, Row
from florin.adapters.memory import Memory, MemoryParking
from florin.edge.streams import RowsFailedError, StreamHandler
from florin.ports import ContentionError
from tests.support.examples import accepted_payment

Record = dict[str, Any]


def stream_record(row: Row, change: str = "INSERT") -> Record:
    """A record as DynamoDB Streams hands it to Lambda."""
    image = {
        "stream": {"S": row.stream},
        "version": {"N": str(row.version)},
        "tenant_id": {"S": row.tenant_id},
        "type": {"S": row.type},
        "schema_version": {"N": str(row.schema_version)},
        "recorded_at": {"S": row.recorded_at},
        "data": {"S": row.data},
        "hash": {"S": row.hash},
    }
    keys = {"stream": image["stream"], "version": image["version"]}
    return {"eventName": change, "dynamodb": {"Keys": keys, "NewImage": image}}


class Reader:
    """A handler over work that keeps what it got and fails on the streams it is told to."""

    def __init__(self, **failures: Exception) -> None:
        self.failures = failures
        self.got: list[str] = []
        self.calls = 0
        self.parking = MemoryParking()
        self.handler = StreamHandler(hop="reader", work=self.work, parking=lambda: self.parking)

    def work(self, rows: Sequence[Row]) -> None:
        self.calls += 1
        for row in rows:
            if row.stream in self.failures:
                raise self.failures[row.stream]
        self.got += [row.stream for row in rows]

    def read(self, *records: Record) -> None:
        self.handler({"Records": list(records)}, None)

    @property
    def causes(self) -> list[str]:
        return [cause for _, cause, _ in self.parking.parked]


def row(stream: str) -> Row:
    store = Memory()
    (made,) = store.rows(accepted_payment(store))
    return Row(
        stream=stream,
        version=1,
        tenant_id=made.tenant_id,
        type=made.type,
        schema_version=1,
        recorded_at=made.recorded_at,
        execution=None,
        data=made.data,
        entry=None,
        hash=made.hash,
    )


ONE, TWO, THREE = (stream_record(row(f"pay_{number}")) for number in ("one", "two", "three"))


def test_a_batch_is_worked_on_in_its_order(capsys: pytest.CaptureFixture[str]) -> None:
    reader = Reader()
    reader.read(ONE, TWO, THREE)
    assert reader.got == ["pay_one", "pay_two", "pay_three"]
    assert reader.parking.parked == []
    told = json.loads(capsys.readouterr().out)
    assert (told["kind"], told["records"], told["parked"]) == ("reader", 3, 0)


@pytest.mark.parametrize(
    "poison", [CorruptEventError("pay_two v1"), AssertionError("cannot follow"), LookupError("x")]
)
def test_a_poison_row_is_parked_and_the_rest_goes_on(poison: Exception) -> None:
    reader = Reader(pay_two=poison)
    reader.read(ONE, TWO, THREE)
    assert reader.got == ["pay_one", "pay_three"]
    assert reader.parking.parked == [("reader", repr(poison), {"stream": "pay_two", "version": 1})]


def test_dlq_a_reader_that_knows_which_rows_failed_is_not_asked_again() -> None:
    class Knowing(Reader):
        def work(self, rows: Sequence[Row]) -> None:
            self.calls += 1
            raise RowsFailedError(rows[1:], "refused")

    reader = Knowing()
    reader.read(ONE, TWO, THREE)
    assert reader.calls == 1, "an outage would be waited for once per row"
    assert reader.parking.parked == [
        ("reader", "RowsFailedError('refused')", {"stream": stream, "version": 1})
        for stream in ("pay_two", "pay_three")
    ]


@pytest.mark.parametrize(
    "moment",
    [
        ContentionError("busy"),
        ClientError({"Error": {"Code": "ThrottlingException"}}, "Query"),
        ConnectTimeoutError(endpoint_url="http://nowhere"),
    ],
)
def test_what_may_be_over_in_a_moment_fails_the_batch(moment: Exception) -> None:
    reader = Reader(pay_two=moment)
    with pytest.raises(type(moment)):
        reader.read(ONE, TWO, THREE)
    assert reader.parking.parked == []
    assert reader.calls == 1, "a table that is busy is not asked once more for each row"


@pytest.mark.parametrize("change", ["MODIFY", "REMOVE"])
def test_a_change_to_an_event_is_tampering(change: str, capsys: pytest.CaptureFixture[str]) -> None:
    reader = Reader()
    reader.read(ONE, stream_record(row("pay_two"), change))
    assert reader.got == ["pay_one"]
    assert reader.causes == ["tamper"]
    alarm = json.loads(capsys.readouterr().out.splitlines()[0])
    assert (alarm["level"], alarm["kind"], alarm["change"]) == ("ERROR", "tamper", change)


@pytest.mark.parametrize(
    "record",
    [
        {"eventName": "INSERT", "dynamodb": {"Keys": {}}},
        {"eventName": "INSERT", "dynamodb": {"NewImage": {"stream": {"S": "pay_1"}}}},
        {"eventName": "INSERT"},
    ],
)
def test_a_record_that_is_no_event_is_parked(record: Record) -> None:
    reader = Reader()
    reader.read(ONE, record)
    assert reader.got == ["pay_one"]
    assert reader.causes[0].startswith("unreadable record")


def test_when_nothing_can_be_parked_the_batch_fails() -> None:
    class Full:
        def park(self, hop: str, cause: str, payload: object) -> None:
            raise ConnectionError("no queue")

    reader = Reader(pay_two=LookupError("x"))
    handler = StreamHandler(hop="reader", work=reader.work, parking=Full)
    with pytest.raises(ConnectionError):
        handler({"Records": [ONE, TWO]}, None)
