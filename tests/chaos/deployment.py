"""The whole engine in one process: API, state machines, readers of the stream, and a provider.

Everything is the real thing but what AWS does itself. What crosses a port crosses it through
`Chaos`, so any of it can break; who starts again what broke is here too: Lambda calls a reader
again, a state machine retries its task, a client sends its request again.
"""

import json
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from typing import Final, Protocol

from api.app import App
from api.routes import handle
from florin import ports
from florin.adapters import ulid
from florin.adapters.codec import Codec, Row
from florin.adapters.memory import (
    Memory,
    MemoryBus,
    MemoryConfig,
    MemoryParking,
    MemoryRunWakeups,
)
from florin.adapters.memory_dead_letters import MemoryDeadLetters
from florin.adapters.memory_keys import MemoryKeys
from florin.adapters.risk import PassingRisk
from florin.adapters.wallet import WalletProvider
from florin.domain.deadlines import LOOKUPS_AFTER
from florin.domain.payment import WALLET_PROVIDER, Call
from florin.edge.document import Page
from florin.edge.steps import follow_up_handler, step_handler
from florin.edge.streams import TRANSIENT
from florin.ports import Accounts, Books, EventStore, Sagas
from florin.projection import Projector
from florin.saga import PAYMENT_STEPS, Saga, fold_history
from florin.sweep import Lookups, Sweeper, is_authorized
from infra.paths import ROOT
from publisher.handler import BusRefusedError, Publisher
from simulator.handler import Simulator
from tests.chaos.faults import Chaos, Other, Plan, SharedClock
from tests.chaos.machine import AllGone, Execution, InvocationDied, Json, Machine, definition
from tests.functions.world import posted, tenant
from tests.support.examples import NOON, TENANT
from tests.support.simulator import in_process, memory_simulator

PAYMENT: Final = ROOT / "state_machines" / "payment.asl.json"
FOLLOW_UP: Final = ROOT / "state_machines" / "follow_up.asl.json"
CODEC: Final = Codec()
"""One for all: to make it costs more than a payment."""
LATER: Final = timedelta(seconds=20)
"""When a call that was announced is long past its deadline, and "not found" is final."""
READER_TRIES_MAX: Final = 3
"""How often a reader of the stream is called before others go on; it is called again later."""


class Store(EventStore, Accounts, Books, Protocol):
    """What the engine stores in, and what the suite looks at behind the ports."""

    def rows(self, stream: str) -> tuple[Row, ...]: ...

    def streams(self) -> tuple[str, ...]: ...


class CountedIds:
    """Ids that are the same in every run."""

    def __init__(self) -> None:
        self._count = count(1)

    def new(self, prefix: str, at: datetime) -> str:
        return f"{prefix}_{ulid.text_of(ulid.value_at(at, next(self._count)))}"


class Wakeups:
    """The queue of look-ups: who is to be woken, for the how-manieth time, and when."""

    def __init__(self, clock: SharedClock) -> None:
        self.waiting: list[tuple[datetime, str, int]] = []
        self._clock = clock

    def wake(self, payment_id: str, number: int, delay: timedelta) -> None:
        self.waiting.append((self._clock.now() + delay, payment_id, number))


class Machines:
    """Step Functions: executions that were asked for, and wait to be walked."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[str, Execution]] = deque()
        self._count = count(1)

    def start(self, payment_id: str, version: int) -> None:
        self.begin("payment", payment_id, version)

    def follow_up(self, payment_id: str, version: int) -> None:
        self.begin("follow_up", payment_id, version)

    def resume(self, payment_id: str, version: int, label: str, *, authorized: bool) -> None:
        self.begin("follow_up" if authorized else "payment", payment_id, version)

    def begin(self, machine: str, payment_id: str, version: int) -> None:
        """Asked twice it starts twice: an EXPRESS machine does not look at names."""
        name = f"{machine}:{payment_id}-v{version}-{next(self._count)}"
        self.waiting.append((machine, Execution(name, payment_id)))


@dataclass(frozen=True, slots=True)
class Engine:
    """The parts that can be exchanged, so that the suite can be shown a broken one."""

    store: Callable[[Codec], Store] = Memory
    saga: type[Saga] = Saga
    app: type[App] = App


@dataclass
class Reader:
    """A reader of the events stream: called with what is new until it has worked."""

    work: Callable[[Sequence[Row]], None]
    read: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def catch_up(self, store: Store) -> None:
        for stream in store.streams():
            rows = store.rows(stream)[self.read[stream] :]
            if rows and self._worked(rows):
                self.read[stream] = max(self.read[stream], rows[-1].version)

    def _worked(self, rows: Sequence[Row]) -> bool:
        for _ in range(READER_TRIES_MAX):
            try:
                self.work(rows)
            except (*TRANSIENT, BusRefusedError, InvocationDied, AllGone):
                continue
            return True
        return False


@dataclass(frozen=True, slots=True)
class Answered:
    """What a client was told under a key."""

    event: Json
    status: int
    body: Json
    transient: bool

    def same_as(self, other: "Answered") -> bool:
        """Whether it says the same; each refusal names the request that it answers."""
        return (self.status, _said(self.body)) == (other.status, _said(other.body))


class Deployment:
    """One stack with two accounts, over ports that break as planned."""

    def __init__(
        self,
        engine: Engine | None = None,
        plan: Plan | None = None,
        ends_before: int | None = None,
    ) -> None:
        engine = engine or Engine()
        self.clock = SharedClock(NOON)
        self.chaos = Chaos(self.clock, plan or {}, quiet=True)
        self.store = engine.store(CODEC)
        self.bus = MemoryBus()
        self.machines = Machines()
        self.simulator: Simulator = memory_simulator(self.clock)
        self.parked: list[Json] = []
        self.parking = MemoryParking()
        self.executions: list[Execution] = []
        self.transitions = 0
        self._ends_before = ends_before
        self.answers: dict[str, Answered] = {}
        """The last word that each idempotency key got."""
        self.contradictions: list[str] = []
        """Where two answers to the same request say different things."""
        self.sending: Json | None = None
        """The request that the API is working on."""
        self.requests = 0
        """How many requests were made, each under a key of its own."""

        watch = self.chaos.watch
        store: EventStore = watch("EventStore", self.store)
        books: Books = watch("Books", self.store)
        accounts: Accounts = watch("Accounts", self.store)
        provider = watch("PaymentProvider", in_process(self.simulator))
        sagas: Sagas = watch("Sagas", self.machines)
        self.wakeups = Wakeups(self.clock)
        self._wakeups: ports.Wakeups = watch("Wakeups", self.wakeups)
        owners = count(1)
        self.saga = engine.saga(
            store=store,
            accounts=accounts,
            clock=self.clock,
            risk=PassingRisk(),
            provider=lambda name: WalletProvider() if name == WALLET_PROVIDER else provider,
            new_owner=lambda: f"owner-{next(owners)}",
            unanswered=self._unanswered,
        )
        self.app = engine.app(
            store=store,
            books=books,
            accounts=accounts,
            config=MemoryConfig(tenants={TENANT: _TENANT}),
            sagas=sagas,
            clock=self.clock,
            ids=CountedIds(),
            pepper=lambda: b"pepper of the tests",
            document=lambda: "{}",
            page=lambda: Page(html="", policy=""),
            runs=Memory(CODEC),
            wakeups=MemoryRunWakeups(),
            letters=MemoryDeadLetters(),
            hops=dict,
            api_keys=MemoryKeys(),
            keyed=lambda api_key: api_key,
            new_secret=lambda: "secret",
        )
        functions = {step: step_handler(step, self.saga) for step in PAYMENT_STEPS}
        tasks = {f"${{{step}Function}}": _task(handler) for step, handler in functions.items()}
        tasks["${FollowUpFunction}"] = _task(follow_up_handler(self.saga))
        queues = {"${ParkedQueueUrl}": self.parked.append}
        self._machine = {
            "payment": Machine(definition(PAYMENT), tasks, queues, self.clock),
            "follow_up": Machine(definition(FOLLOW_UP), tasks, queues, self.clock),
        }
        projector = Projector(store=store, books=books)
        self.sweeper = Sweeper(
            store=store,
            books=books,
            sagas=sagas,
            clock=self.clock,
            parking=self.parking,
            expire=self.app.desk.expire_hold,
            project=lambda stream: projector.project([stream]),
        )
        self.lookups = Lookups(store=store, sagas=sagas, wakeups=self._wakeups, clock=self.clock)
        reader = Projector(store=store, books=books, now=self.clock.now)
        publisher = Publisher(watch("Bus", self.bus), pause=lambda _: None, codec=CODEC)
        self.readers = (
            Reader(lambda rows: reader.project(row.stream for row in rows)),
            Reader(publisher.publish),
        )
        self.seller = self._account("seller")
        self.buyer = self._account("customer")
        self.chaos.others = {
            Other.EXECUTION: self._another,
            Other.LATER: lambda: self._another(LATER),
            Other.SAME_REQUEST: self._same,
            Other.READERS: self._read,
            Other.CANCEL: lambda: self._change("cancel", {}),
            Other.REFUND: lambda: self._change("refund", {"amount": 100}),
        }
        self.chaos.quiet = False

    def _account(self, kind: str) -> str:
        self.requests += 1
        event = posted("/accounts", json.dumps({"currency": "EUR", "kind": kind}), kind)
        return str(self.send(event).body["account_id"])

    # Who does the work.

    def settle(self) -> None:
        """Walk the executions that were started, and have the stream read."""
        while self.machines.waiting:
            machine, execution = self.machines.waiting.popleft()
            self.executions.append(execution)
            try:
                self._walk(machine, execution)
            except AllGone:
                execution.status = "ABORTED"
        self._read()

    def _read(self) -> None:
        for reader in self.readers:
            reader.catch_up(self.store)

    def _walk(self, machine: str, execution: Execution) -> None:
        for _ in self._machine[machine].steps(execution):
            if self.chaos.quiet:
                continue
            self.transitions += 1
            if self.transitions == self._ends_before:
                raise AllGone(f"before state {self.transitions}")

    def resume(self, payment_id: str) -> None:
        """Start an execution that goes on with a payment, as whoever resumes one does."""
        history = self.store.read(payment_id)
        self.machines.resume(
            payment_id,
            history.head.version,
            "again",
            authorized=is_authorized(fold_history(history)),
        )

    def _unanswered(self, payment_id: str, call: Call) -> None:
        """Have a call looked up soon, as the steps on AWS do: if it can be arranged."""
        delay = call.deadline + LOOKUPS_AFTER[0] - self.clock.now()
        with suppress(Exception):
            self._wakeups.wake(payment_id, 0, delay)

    # Who comes in between.

    def _latest(self) -> str | None:
        return max((name for name in self.store.streams() if name.startswith("pay_")), default=None)

    def _another(self, after: timedelta = timedelta(0)) -> None:
        """Another execution of the latest payment, from start to end."""
        payment_id = self._latest()
        self.clock.advance(after)
        if payment_id is not None:
            self.resume(payment_id)
            machine, execution = self.machines.waiting.pop()
            self.executions.append(execution)
            self._machine[machine].walk(execution)

    def _same(self) -> None:
        if self.sending is not None:
            self.send(self.sending)

    def _change(self, what: str, body: Json) -> None:
        """Somebody else asks something of the latest payment."""
        payment_id = self._latest()
        if payment_id is None:
            return
        self.requests += 1
        path = "/payments/{payment_id}/" + what
        event = posted(path, json.dumps(body), f"other-{what}-{self.requests}")
        event |= {"path": path.format(payment_id=payment_id)}
        self.send(event | {"pathParameters": {"payment_id": payment_id}})

    # Clients.

    def send(self, event: Json) -> Answered:
        """Send a request once and hear the answer.

        Raises:
            InvocationDied, AllGone: there was none.
        """
        before, self.sending = self.sending, event
        try:
            answer = handle(event, self.app)
        finally:
            self.sending = before
        body = json.loads(answer["body"])
        transient = answer["statusCode"] >= 500 or body.get("error", {}).get("transient", False)
        answered = Answered(event, answer["statusCode"], body, transient)
        key = event["headers"]["Idempotency-Key"]
        known = self.answers.get(key)
        if known is not None and not known.transient and not answered.same_as(known):
            self.contradictions.append(f"{key} was told {known.body}, then {body}")
        if known is None or known.transient:
            self.answers[key] = answered
        return answered

    def look(self, event: Json) -> None:
        """Send a request that changes nothing."""
        handle(event, self.app)


def _said(body: Json) -> Json:
    error = body.get("error", {})
    return body if not error else {"code": error["code"], "param": error["param"]}


def _task(handler: Callable[[Json, object], dict[str, str]]) -> Callable[[Json], object]:
    return lambda payload: handler(payload, None)


_TENANT: Final = replace(tenant(), provider="simulator")
