"""AWS in this process, and a meter at its door.

Every botocore client that is made while a `Meter` listens sends its requests here instead of into a
network: DynamoDB's to the embedded emulator's own code, which keeps tables and tells what each
write consumed; the others to a few lines that say yes. So the functions run as they are deployed,
through botocore, and everything that they ask of AWS passes by one place.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, Final

from botocore import handlers
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from ministack.services import dynamodb

from tests.bench import units
from tests.support.simulator import SECRET

Json = dict[str, Any]

READS: Final = frozenset({"GetItem", "Query", "BatchGetItem", "TransactGetItems"})
WRITES: Final = frozenset({"PutItem", "UpdateItem", "TransactWriteItems"})
PEPPER: Final = "pepper of the bench"
SECRETS: Final = {"pepper": PEPPER, "field pepper": PEPPER, "simulator": SECRET}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request to AWS. `written` are the keys of the items that it changed, with their sizes;
    `units` are write units by table and, as `table/index`, by index.
    """

    service: str
    operation: str
    status: int = 200
    units: Mapping[str, float] = field(default_factory=dict)
    read_units: float = 0.0
    written: Mapping[str, int] = field(default_factory=dict)
    entries: int = 1

    @property
    def write_units(self) -> float:
        return sum(self.units.values())


@dataclass(slots=True)
class Invocation:
    """A function that was called, and what it called."""

    function: str
    calls: list[Call] = field(default_factory=list)
    provider_calls: int = 0


class Meter:
    """Listens to all that is asked of AWS, by whom.

    `stored` hears of every item that was put, with its table; `refuse` may answer in DynamoDB's
    place.
    """

    def __init__(self) -> None:
        self.invocations: list[Invocation] = []
        self._active: list[Invocation] = []
        self.stored: Callable[[str, Json], None] = lambda table, item: None
        self.published: list[Json] = []
        self.started: list[Json] = []
        self.refuse: Callable[[str, Json], Json | None] = lambda operation, asked: None

    @contextmanager
    def invoked(self, function: str) -> Iterator[Invocation]:
        """Count what happens inside as done by one invocation of a function."""
        invocation = Invocation(function)
        self.invocations.append(invocation)
        self._active.append(invocation)
        try:
            yield invocation
        finally:
            self._active.pop()

    @contextmanager
    def listening(self) -> Iterator["Meter"]:
        """Hear everything that clients made from now on ask."""
        hook = ("before-send", self._answer)
        handlers.BUILTIN_HANDLERS.append(hook)
        try:
            yield self
        finally:
            handlers.BUILTIN_HANDLERS.remove(hook)

    def provider_called(self) -> None:
        if self._active:
            self._active[-1].provider_calls += 1

    def take(self) -> list[Invocation]:
        """What was counted since the last time."""
        taken, self.invocations = self.invocations, []
        return taken

    def _answer(self, request: AWSPreparedRequest, **more: object) -> AWSResponse:
        name = _text(request.headers["X-Amz-Target"])
        service, _, operation = name.partition(".")
        body: Any = request.body or b"{}"
        asked: Json = json.loads(body)
        if operation in READS | WRITES:
            status, answered, call = self._dynamodb(name, operation, asked)
        else:
            status, answered = 200, self._other(service, operation, asked)
            entries = len(asked.get("Entries", [asked]))
            call = Call(service=service, operation=operation, entries=entries)
        if self._active:
            self._active[-1].calls.append(call)
        raw = _Raw(json.dumps(answered).encode())
        headers: Any = {"Content-Type": "application/x-amz-json-1.0"}
        return AWSResponse(request.url, status, headers, raw)

    def _dynamodb(self, target: str, operation: str, asked: Json) -> tuple[int, Json, Call]:
        refused = self.refuse(operation, asked)
        before = _looked_up(asked, operation)
        if refused is not None:
            status, answered = 400, refused
        else:
            status, answered = emulated(target, asked | {"ReturnConsumedCapacity": "INDEXES"})
        if operation in READS:
            call = Call(
                service="dynamodb",
                operation=operation,
                status=status,
                read_units=_read(operation, asked, answered),
            )
        elif status == 200:
            after = _looked_up(asked, operation)
            written = {key: units.size_of(item or {}) for key, (_, item) in after.items()}
            call = Call(
                service="dynamodb", operation=operation, units=_consumed(answered), written=written
            )
            for table, item in _puts(operation, asked):
                self.stored(table, item)
        else:
            # Who is turned away has been prepared for: DynamoDB charges as if it had written.
            transaction = operation.startswith("Transact")
            wanted = {key: table for key, (table, _) in before.items()}
            spent: dict[str, float] = {}
            for key, table in wanted.items():
                cost = units.write_units(before[key][1], None, transaction=transaction)
                spent[table] = spent.get(table, 0.0) + cost
            call = Call(service="dynamodb", operation=operation, status=status, units=spent)
        return status, answered, call

    def _other(self, service: str, operation: str, asked: Json) -> Json:
        match operation:
            case "StartExecution":
                self.started.append(asked)
                return {
                    "executionArn": f"{asked['stateMachineArn']}:{asked['name']}",
                    "startDate": 0,
                }
            case "PutEvents":
                self.published += asked["Entries"]
                entries = [{"EventId": str(number)} for number in range(len(asked["Entries"]))]
                return {"FailedEntryCount": 0, "Entries": entries}
            case "GetSecretValue":
                return {"SecretString": SECRETS[asked["SecretId"]]}
            case "CreateTable":
                return emulated(f"{service}.{operation}", asked)[1]
            case "SendMessage" | "Publish":
                return {"MessageId": "1", "MD5OfMessageBody": "0" * 32}
            case _:
                raise NotImplementedError(f"nobody answers {operation} here")


class _Raw(BytesIO):
    def stream(self, amt: int | None = None, decode_content: bool | None = None) -> Iterator[bytes]:
        yield self.read()


def _text(header: Any) -> str:
    """A header, which botocore has as bytes or as text."""
    return header.decode() if isinstance(header, bytes) else str(header)


def emulated(target: str, asked: Json) -> tuple[int, Json]:
    """What the emulator answers to a request of DynamoDB's protocol."""
    work = dynamodb.handle_request("POST", "/", {"x-amz-target": target}, json.dumps(asked), {})
    try:
        work.send(None)
    except StopIteration as done:
        status, _, body = done.value
        return int(status), json.loads(body)
    raise AssertionError("it waits for nothing")


def _consumed(answered: Json) -> dict[str, float]:
    spent: dict[str, float] = {}
    consumed = answered["ConsumedCapacity"]
    for one in consumed if isinstance(consumed, list) else [consumed]:
        indexes = one.get("GlobalSecondaryIndexes", {})
        of_indexes = {name: float(index["CapacityUnits"]) for name, index in indexes.items()}
        spent[one["TableName"]] = float(one["CapacityUnits"]) - sum(of_indexes.values())
        spent |= {f"{one['TableName']}/{name}": cost for name, cost in of_indexes.items()}
    return spent


def _actions(operation: str, asked: Json) -> list[tuple[str, Json]]:
    """The writes of a request: what each is, and what it says."""
    if operation == "TransactWriteItems":
        return [next(iter(action.items())) for action in asked["TransactItems"]]
    return [(operation.removesuffix("Item"), asked)] if operation not in READS else []


def _puts(operation: str, asked: Json) -> Iterator[tuple[str, Json]]:
    for kind, action in _actions(operation, asked):
        if kind == "Put":
            yield action["TableName"], action["Item"]


def _looked_up(asked: Json, operation: str) -> dict[str, tuple[str, Json | None]]:
    """The items that a request is about to write, as they are: by key, each with its table."""
    if operation not in WRITES:
        return {}
    found: dict[str, tuple[str, Json | None]] = {}
    for _, action in _actions(operation, asked):
        table = action["TableName"]
        given = action.get("Key") or action["Item"]
        key = {name: given[name] for name in _key_names(table)}
        item = emulated(f"{_TARGET}.GetItem", {"TableName": table, "Key": key})[1].get("Item")
        found[f"{table} {json.dumps(key)}"] = (table, item)
    return found


_TARGET: Final = "DynamoDB_20120810"
_KEYS: Final[dict[str, tuple[str, ...]]] = {}


def _key_names(table: str) -> tuple[str, ...]:
    if table not in _KEYS:
        schema = emulated(f"{_TARGET}.DescribeTable", {"TableName": table})[1]["Table"]["KeySchema"]
        _KEYS[table] = tuple(key["AttributeName"] for key in schema)
    return _KEYS[table]


def _read(operation: str, asked: Json, answered: Json) -> float:
    match operation:
        case "GetItem":
            item = answered.get("Item", {})
            return units.read_units([item], consistent=asked.get("ConsistentRead", False))
        case "Query":
            found = answered.get("Items", [])
            return units.read_units(found, consistent=asked.get("ConsistentRead", False))
        case "BatchGetItem":
            return sum(
                units.read_units(
                    [item], consistent=asked["RequestItems"][table].get("ConsistentRead", False)
                )
                for table, items in answered.get("Responses", {}).items()
                for item in items
            )
        case _:
            return sum(
                units.read_units([response.get("Item", {})], consistent=True, transaction=True)
                for response in answered.get("Responses", ())
            )
