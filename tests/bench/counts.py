"""What was counted, for one payment, and its bill."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tests.bench import prices
from tests.bench.aws import Call, Invocation
from tests.bench.prices import Line
from tests.bench.stack import memory_mb
from tests.chaos.machine import Execution

STANDARD: Final = "STANDARD"
EXPRESS: Final = "EXPRESS"
BELOW: Final = ("AuthorizerFunction", "AnalyticsFunction")
"""Functions whose cost stands below the sum: one is cached by the gateway, the other one is a
listener of the bus like those of our users."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Everything that one of so many payments, or other things, took on average."""

    name: str
    of: int
    invocations: Mapping[str, float]
    calls: Mapping[str, float]
    gb_s: Mapping[str, float]
    write_units: Mapping[str, float]
    read_units: float
    requests: float
    executions: float
    transitions: float
    execution_ms: float
    express_gb_s: float
    bus_entries: float
    provider_calls: float
    largest_item_bytes: int
    retries: float = 0.0
    below: Mapping[str, float] = field(default_factory=dict)

    @property
    def writes(self) -> float:
        return sum(self.write_units.values())

    def bill(self, machine: str, request_price: float = prices.REST_REQUEST) -> tuple[Line, ...]:
        """What a million of them cost, line by line, on one of the two types of machine."""
        lines = [
            Line(name="API requests", quantity=self.requests, unit="requests", price=request_price),
            Line(
                name="Lambda invocations",
                quantity=sum(self.invocations.values()),
                unit="invocations",
                price=prices.INVOCATION,
            ),
            Line(
                name="Lambda time",
                quantity=sum(self.gb_s.values()),
                unit="GB-s",
                price=prices.GB_SECOND_ARM,
            ),
        ]
        if machine == STANDARD:
            lines.append(
                Line(
                    name="Step Functions transitions",
                    quantity=self.transitions,
                    unit="transitions",
                    price=prices.TRANSITION,
                )
            )
        else:
            lines += [
                Line(
                    name="Step Functions requests",
                    quantity=self.executions,
                    unit="executions",
                    price=prices.EXPRESS_REQUEST,
                ),
                Line(
                    name="Step Functions time",
                    quantity=self.express_gb_s,
                    unit="GB-s",
                    price=prices.EXPRESS_GB_SECOND,
                ),
            ]
        lines += [
            Line(
                name="DynamoDB writes",
                quantity=self.writes,
                unit="write units",
                price=prices.WRITE_UNIT,
            ),
            Line(
                name="DynamoDB reads",
                quantity=self.read_units,
                unit="read units",
                price=prices.READ_UNIT,
            ),
            Line(
                name="EventBridge",
                quantity=self.bus_entries,
                unit="events",
                price=prices.BUS_ENTRY,
            ),
        ]
        return tuple(line for line in lines if line.quantity)

    def dollars(self, machine: str, request_price: float = prices.REST_REQUEST) -> float:
        return sum(line.dollars for line in self.bill(machine, request_price))

    def beside(self) -> tuple[Line, ...]:
        """What comes on top and is told apart: it depends on settings, caches and listeners."""
        invocations = sum(self.invocations.values())
        accesses = self.calls.get("dynamodb", 0.0)
        traced = self.requests + self.executions
        return (
            Line(
                name="logs",
                quantity=invocations * prices.LOG_KB / 1024**2,
                unit="GB",
                price=prices.LOG_GB * 1e6,
            ),
            Line(name="traces, all sampled", quantity=traced, unit="traces", price=prices.TRACE),
            Line(
                name="KMS",
                quantity=accesses * prices.KMS_SHARE,
                unit="requests",
                price=prices.KMS_REQUEST,
            ),
            *(
                Line(name=name, quantity=dollars, unit="dollars per million", price=1.0)
                for name, dollars in self.below.items()
            ),
        )


def counted(
    name: str,
    of: int,
    invocations: Sequence[Invocation],
    executions: Sequence[Execution] = (),
    memory: Callable[[str], int] = memory_mb,
) -> Counts:
    """Sum up what so many payments took."""
    mine = [one for one in invocations if one.function not in BELOW]
    calls = [call for one in mine for call in one.calls]
    durations = _durations(mine, executions, memory)
    units: Counter[str] = Counter()
    for call in calls:
        units.update(call.units)
    gb_s: dict[str, float] = defaultdict(float)
    for one in mine:
        gb_s[one.function] += duration_ms(one, memory) / 1000 * memory(one.function) / 1024
    written = [size for call in calls for size in call.written.values()]
    return Counts(
        name=name,
        of=of,
        invocations=_each(Counter(one.function for one in mine), of),
        calls=_each(Counter(call.service for call in calls), of),
        gb_s=_each(gb_s, of),
        write_units=_each(units, of),
        read_units=sum(call.read_units for call in calls) / of,
        requests=sum(one.function == "ApiFunction" for one in mine) / of,
        executions=len(executions) / of,
        transitions=sum(len(execution.visited) + 1 for execution in executions) / of,
        execution_ms=sum(durations) / of,
        express_gb_s=sum(map(prices.express_gb_s, durations)) / of,
        bus_entries=sum(call.entries for call in calls if call.operation == "PutEvents") / of,
        provider_calls=sum(one.provider_calls for one in mine) / of,
        largest_item_bytes=max(written, default=0),
        retries=sum(call.status != 200 for call in calls) / of,
        below=_below([one for one in invocations if one.function in BELOW], of),
    )


def _each(sums: Mapping[str, float], of: int) -> dict[str, float]:
    return {name: round(value / of, 6) for name, value in sorted(sums.items())}


def duration_ms(invocation: Invocation, memory: Callable[[str], int] = memory_mb) -> float:
    """How long an invocation takes on AWS, as far as one may assume. Its share of a core grows with
    its memory.
    """
    slower = prices.CPU_AT_MB / memory(invocation.function)
    waits = sum(map(_call_ms, invocation.calls)) + invocation.provider_calls * prices.PROVIDER_MS
    works = prices.HANDLER_MS + len(invocation.calls) * prices.CALL_CPU_MS
    return waits + works * slower


def _call_ms(call: Call) -> float:
    if call.service != "dynamodb":
        return prices.OTHER_MS
    transaction = call.operation.startswith("Transact")
    return prices.TRANSACTION_MS if transaction else prices.ROUND_TRIP_MS


def _durations(
    invocations: Sequence[Invocation],
    executions: Sequence[Execution],
    memory: Callable[[str], int],
) -> list[float]:
    """How long each execution takes: all walk the same states here, so they share the time."""
    if not executions:
        return []
    steps = {"ApiFunction", "ProjectorFunction", "PublisherFunction"}
    work = sum(duration_ms(one, memory) for one in invocations if one.function not in steps)
    states = sum(len(execution.visited) for execution in executions)
    whole = work + states * prices.STATE_MS
    return [whole / len(executions)] * len(executions)


def _below(invocations: Sequence[Invocation], of: int) -> dict[str, float]:
    found: dict[str, float] = defaultdict(float)
    for one in invocations:
        name = "authorizer, never cached" if one.function == BELOW[0] else "analytics, a listener"
        memory_gb = memory_mb(one.function) / 1024
        found[name] += (
            prices.INVOCATION
            + duration_ms(one) / 1000 * memory_gb * prices.GB_SECOND_ARM
            + sum(call.write_units * prices.WRITE_UNIT for call in one.calls)
            + sum(call.read_units * prices.READ_UNIT for call in one.calls)
        ) / of
        if one.function == BELOW[1]:
            # The bus sends each message; a batch is received once, and deleted in one request.
            messages = sum(call.operation == "TransactWriteItems" for call in one.calls)
            found[name] += (messages + 2) * prices.QUEUE_REQUEST / of
    return dict(found)


def as_json(counts: Counts) -> dict[str, Any]:
    """The counts and both bills, to be kept."""
    kept: dict[str, Any] = {
        name: _rounded(getattr(counts, name)) for name in counts.__dataclass_fields__
    }
    kept["writes"] = round(counts.writes, 3)
    kept["bills"] = {
        machine: {line.name: _line(line) for line in counts.bill(machine)}
        for machine in (STANDARD, EXPRESS)
    }
    kept["dollars"] = {
        machine: round(counts.dollars(machine), 2) for machine in (STANDARD, EXPRESS)
    }
    kept["beside"] = {line.name: _line(line) for line in counts.beside()}
    return kept


def _line(line: Line) -> dict[str, Any]:
    return {
        "quantity": round(line.quantity, 6),
        "unit": line.unit,
        "price": line.price,
        "dollars": round(line.dollars, 3),
    }


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, Mapping):
        return {name: round(each, 4) for name, each in value.items()}
    return value
