"""What can go wrong at a port, and the proxies that make it go wrong.

Every call that crosses a port is a point. A clean run records its points; a run with a plan meets
the same calls in the same order, and at the planned ones something else happens.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, TypeVar, cast

from botocore.exceptions import ClientError, ReadTimeoutError

from florin import ports
from florin.adapters.clock import ManualClock
from florin.domain.payment import Call
from florin.domain.provider import NotAttempted, Unknown
from florin.ports import ContentionError
from tests.chaos.machine import AllGone, InvocationDied

PortT = TypeVar("PortT")

PROVIDER_TIMEOUT: Final = timedelta(seconds=6)
"""What a call costs that the provider does not answer."""
LATE: Final = timedelta(seconds=9)
"""How long after its call's deadline a provider may still do what it was asked: after the first
look-up, and before "not found" is final.
"""
LONG_AFTER: Final = timedelta(seconds=45)
"""How long after that deadline a provider may do, or show, what it had said that it never heard of:
"not found" was final by then, and believed.
"""


class Kind(StrEnum):
    """What a call across a port is."""

    READ = "read"
    WRITE = "write"
    CALL = "call"
    LOOK_UP = "look-up"


class Fault(StrEnum):
    """What happens at a point instead of what should.

    Who fails gets an error. Who crashes is gone in the middle of its code, and whoever had called
    it (Lambda, the state machine, the client) calls again; who is gone for good takes that one
    along: its execution ends, its client never comes back.
    """

    FAIL_BEFORE = "fail before"
    FAIL_AFTER = "fail after"
    REPEAT = "repeat"
    CRASH_BEFORE = "crash before"
    CRASH_AFTER = "crash after"
    GONE_BEFORE = "gone before"
    GONE_AFTER = "gone after"
    NOT_REACHED = "not reached"
    LATE = "late"
    BELATED = "belated"
    HIDDEN = "hidden"


_EVERYWHERE: Final = (
    Fault.FAIL_BEFORE,
    Fault.FAIL_AFTER,
    Fault.REPEAT,
    Fault.CRASH_BEFORE,
    Fault.CRASH_AFTER,
    Fault.GONE_BEFORE,
    Fault.GONE_AFTER,
)
FAULTS: Final[Mapping[Kind, tuple[Fault, ...]]] = {
    # Before and after a read are the same, and to be gone there is to be gone after the last write.
    Kind.READ: (Fault.FAIL_BEFORE, Fault.CRASH_BEFORE),
    Kind.LOOK_UP: (Fault.FAIL_BEFORE, Fault.CRASH_BEFORE),
    Kind.WRITE: _EVERYWHERE,
    Kind.CALL: (*_EVERYWHERE, Fault.NOT_REACHED, Fault.LATE, Fault.BELATED, Fault.HIDDEN),
}
"""What can happen at which kind of point."""

PORTS: Final[Mapping[str, tuple[type, Mapping[str, Kind]]]] = {
    "EventStore": (
        ports.EventStore,
        {"read": Kind.READ, "append": Kind.WRITE, "receipt": Kind.READ, "bind": Kind.WRITE},
    ),
    "Accounts": (
        ports.Accounts,
        dict.fromkeys(("profile", "wallet", "balances", "reserved"), Kind.READ),
    ),
    "Books": (
        ports.Books,
        {
            **dict.fromkeys(
                ("view", "payments", "due", "statement", "line_number", "total"), Kind.READ
            ),
            **dict.fromkeys(("post", "advance", "postpone"), Kind.WRITE),
        },
    ),
    "PaymentProvider": (
        ports.PaymentProvider,
        {
            **dict.fromkeys(("authorize", "capture", "void", "refund"), Kind.CALL),
            "look_up": Kind.LOOK_UP,
        },
    ),
    "Sagas": (ports.Sagas, dict.fromkeys(("start", "follow_up", "resume"), Kind.WRITE)),
    "Wakeups": (ports.Wakeups, {"wake": Kind.WRITE}),
    "Bus": (ports.Bus, {"publish": Kind.WRITE}),
}
"""The ports that are watched, with what each of their methods is."""
STORED: Final = frozenset({"EventStore", "Accounts", "Books"})
"""Those whose writes say when others were in the way."""


class SharedClock(ManualClock):
    """Everybody's clock. What is due by it happens while it is moved, each thing at its time."""

    def __init__(self, start: datetime) -> None:
        super().__init__(start)
        self._due: list[tuple[datetime, Callable[[], object]]] = []

    def at(self, moment: datetime, do: Callable[[], object]) -> None:
        self._due.append((moment, do))

    @property
    def moments(self) -> list[datetime]:
        """When something is still to happen."""
        return [moment for moment, _ in self._due]

    def advance(self, by: timedelta) -> None:
        until = self.now() + by
        while due := [one for one in self._due if one[0] <= until]:
            first = min(due, key=lambda one: one[0])
            self._due.remove(first)
            super().advance(max(first[0] - self.now(), timedelta(0)))
            first[1]()
        super().advance(max(until - self.now(), timedelta(0)))


@dataclass(frozen=True, slots=True)
class Point:
    """A call across a port, in the order of its run."""

    index: int
    port: str
    method: str
    kind: Kind

    @property
    def faults(self) -> tuple[Fault, ...]:
        return FAULTS[self.kind]

    def __str__(self) -> str:
        return f"{self.index}: {self.port}.{self.method}"


class Other(StrEnum):
    """Who comes in between."""

    EXECUTION = "another execution"
    LATER = "another execution, later"
    SAME_REQUEST = "the same request"
    READERS = "the readers of the stream"
    CANCEL = "a cancellation"
    REFUND = "a refund"


@dataclass(frozen=True, slots=True)
class Meanwhile:
    """Others do something while an invocation stands at a point; then it goes on."""

    other: Other
    after: bool = False

    def __str__(self) -> str:
        return f"{self.other} {'after' if self.after else 'before'}"


Plan = Mapping[int, Fault | Meanwhile]
"""What happens at which points, by their index."""


@dataclass
class Chaos:
    """Counts the calls across the ports, and breaks those that are planned to break."""

    clock: SharedClock
    plan: Plan = field(default_factory=dict)
    met: list[Point] = field(default_factory=list)
    happened: list[tuple[Point, Fault | Meanwhile]] = field(default_factory=list)
    asked: list[Call] = field(default_factory=list)
    hidden: dict[str, datetime] = field(default_factory=dict)
    others: dict[Other, Callable[[], object]] = field(default_factory=dict)
    quiet: bool = False

    def watch(self, port: str, real: PortT) -> PortT:
        """The port, with every call to it a point."""
        return cast("PortT", _Watched(self, port, real))

    def meet(self, port: str, method: str, do: Callable[[], Any], call: Call | None) -> Any:
        kind = PORTS[port][1][method]
        if kind is Kind.CALL and call is not None:
            self.asked.append(call)
        if kind is Kind.LOOK_UP and call is not None and self._hides(call.reference):
            do = _shows_nothing
        if self.quiet:
            return do()
        point = Point(len(self.met), port, method, kind)
        self.met.append(point)
        planned = self.plan.get(point.index)
        if isinstance(planned, Meanwhile):
            self.happened.append((point, planned))
            return self._meanwhile(planned, do)
        if planned is None or planned not in point.faults:
            return do()
        self.happened.append((point, planned))
        if kind is Kind.CALL or kind is Kind.LOOK_UP:
            return self._provider(planned, do, call)
        return self._broken(planned, do, point)

    def _hides(self, reference: str) -> bool:
        """Whether the provider does not show yet what it did under a reference."""
        return reference in self.hidden and self.clock.now() < self.hidden[reference]

    def _meanwhile(self, planned: Meanwhile, do: Callable[[], Any]) -> Any:
        if not planned.after:
            self.undisturbed(self.others[planned.other])
            return do()
        answer = do()
        self.undisturbed(self.others[planned.other])
        return answer

    def undisturbed(self, work: Callable[[], Any]) -> Any:
        """Do something of which no call is a point."""
        before, self.quiet = self.quiet, True
        try:
            return work()
        finally:
            self.quiet = before

    def _broken(self, fault: Fault, do: Callable[[], Any], point: Point) -> Any:
        """What an adapter of AWS meets."""
        match fault:
            case Fault.FAIL_BEFORE if point.kind is Kind.WRITE and point.port in STORED:
                raise ContentionError("it was never free")
            case Fault.FAIL_BEFORE:
                raise ClientError(
                    {"Error": {"Code": "ThrottlingException", "Message": "busy"}}, point.method
                )
            case Fault.FAIL_AFTER:
                do()
                raise ReadTimeoutError(endpoint_url="https://aws.invalid")
            case _:
                return self._died_or_twice(fault, do)

    def _provider(self, fault: Fault, do: Callable[[], Any], call: Call | None) -> Any:
        """What a provider's adapter answers: it never raises."""
        assert call is not None
        match fault:
            case Fault.NOT_REACHED:
                return NotAttempted(reason="not_connected")
            case Fault.FAIL_BEFORE | Fault.LATE | Fault.BELATED:
                if fault is not Fault.FAIL_BEFORE:
                    after = LATE if fault is Fault.LATE else LONG_AFTER
                    self.clock.at(call.deadline + after, do)
                self.clock.advance(PROVIDER_TIMEOUT)
                return Unknown(reason="timeout")
            case Fault.FAIL_AFTER | Fault.HIDDEN:
                if fault is Fault.HIDDEN:
                    self.hidden[call.reference] = call.deadline + LONG_AFTER
                do()
                self.clock.advance(PROVIDER_TIMEOUT)
                return Unknown(reason="timeout")
            case _:
                return self._died_or_twice(fault, do)

    def _died_or_twice(self, fault: Fault, do: Callable[[], Any]) -> Any:
        if fault in {Fault.CRASH_AFTER, Fault.GONE_AFTER, Fault.REPEAT}:
            do()
        match fault:
            case Fault.REPEAT:
                # The first answer was lost on its way, below whoever asked.
                return do()
            case Fault.GONE_BEFORE | Fault.GONE_AFTER:
                raise AllGone(fault)
            case _:
                raise InvocationDied(fault)


def _shows_nothing() -> None:
    """What a look-up finds that finds nothing."""


class _Watched:
    """A port whose every call is a point. Its properties are those of the port behind it."""

    def __init__(self, chaos: Chaos, port: str, real: object) -> None:
        self._chaos, self._port, self._real = chaos, port, real

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._real, name)
        if name not in PORTS[self._port][1]:
            assert not callable(real), f"nobody said what {self._port}.{name} is"
            return real

        def called(*args: Any, **named: Any) -> Any:
            call = args[0] if args and isinstance(args[0], Call) else None
            return self._chaos.meet(self._port, name, lambda: real(*args, **named), call)

        return called
