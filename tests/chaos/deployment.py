"""The whole engine in one process: API, state machines, readers of the stream, and a provider.

Everything is the real thing but what AWS does itself. What crosses a port crosses it through
`Chaos`, so any of it can break; who starts again what broke is here too: Lambda calls a reader
again, a state machine retries its task, a client sends its request again.
"""

import json
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from typing import Final, Protocol

from api.app import App
from api.routes import handle
from florin.adapters import ulid
from florin.adapters.codec import Codec, Row
from florin.adapters.memory import Memory, MemoryBus, MemoryConfig
from florin.adapters.risk import PassingRisk
from florin.adapters.wallet import WalletProvider
from florin.domain.money import Money
from florin.domain.payment import (
    WALLET_PROVIDER,
    Call,
    Captured,
    PaymentAuthorized,
    PaymentInitiated,
)
from florin.domain.provider import ProviderAnswer, Unknown
from florin.edge.steps import follow_up_handler, step_handler
from florin.edge.streams import TRANSIENT
from florin.ports import Accounts, Books, EventStore, FeeSchedule, PaymentProvider, Tenant
from florin.projection import Projector
from florin.saga import PAYMENT_STEPS, Saga, fold_history
from infra.paths import ROOT
from publisher.handler import BusRefusedError, Publisher
from simulator.handler import Simulator
from tests.chaos.faults import PROVIDER_TIMEOUT, Chaos, Other, Plan, SharedClock
from tests.chaos.machine import AllGone, Execution, InvocationDied, Json, Machine, definition
from tests.functions.world import posted
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

TIMEOUT_THEN_SUCCESS: Final = "tok_timeout_then_success"
TIMEOUT_THEN_NOTHING: Final = "tok_timeout_then_nothing"


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


@dataclass(frozen=True)
class Moody:
    """The provider, which for two means of payment does not answer an authorization in time."""

    provider: PaymentProvider
    clock: SharedClock

    @property
    def not_found_final_after(self) -> timedelta:
        return self.provider.not_found_final_after

    def authorize(self, call: Call, terms: PaymentInitiated) -> ProviderAnswer:
        if terms.payment_method not in {TIMEOUT_THEN_SUCCESS, TIMEOUT_THEN_NOTHING}:
            return self.provider.authorize(call, terms)
        if terms.payment_method == TIMEOUT_THEN_SUCCESS:
            self.provider.authorize(call, replace(terms, payment_method="tok_visa"))
        self.clock.advance(PROVIDER_TIMEOUT)
        return Unknown(reason="timeout")

    def capture(
        self,
        call: Call,
        authorization: PaymentAuthorized,
        amount: Money,
        *,
        final: bool = True,
    ) -> ProviderAnswer:
        return self.provider.capture(call, authorization, amount, final=final)

    def void(self, call: Call, authorization: PaymentAuthorized) -> ProviderAnswer:
        return self.provider.void(call, authorization)

    def refund(self, call: Call, authorization: PaymentAuthorized, amount: Money) -> ProviderAnswer:
        return self.provider.refund(call, authorization, amount)

    def look_up(self, call: Call) -> ProviderAnswer | None:
        return self.provider.look_up(call)


class Machines:
    """Step Functions: executions that were asked for, and wait to be walked."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[str, Execution]] = deque()
        self._count = count(1)

    def start(self, payment_id: str, version: int) -> None:
        self.begin("payment", payment_id, version)

    def follow_up(self, payment_id: str, version: int) -> None:
        self.begin("follow_up", payment_id, version)

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
        provider = watch("PaymentProvider", Moody(in_process(self.simulator), self.clock))
        owners = count(1)
        self.saga = engine.saga(
            store=store,
            clock=self.clock,
            risk=PassingRisk(),
            provider=lambda name: WalletProvider() if name == WALLET_PROVIDER else provider,
            new_owner=lambda: f"owner-{next(owners)}",
        )
        self.app = engine.app(
            store=store,
            books=books,
            accounts=watch("Accounts", self.store),
            config=MemoryConfig(tenants={TENANT: _TENANT}),
            sagas=watch("Sagas", self.machines),
            clock=self.clock,
            ids=CountedIds(),
            pepper=lambda: b"pepper of the tests",
            document=lambda: "{}",
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
        publisher = Publisher(watch("Bus", self.bus), pause=lambda _: None, codec=CODEC)
        self.readers = (
            Reader(lambda rows: projector.project(row.stream for row in rows)),
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
        captured = isinstance(fold_history(history), Captured)
        machine = "follow_up" if captured else "payment"
        self.machines.begin(machine, payment_id, history.head.version)

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


_TENANT: Final = Tenant(
    tenant_id=TENANT,
    name="Florence Silks",
    mode="test",
    fees=FeeSchedule(basis_points=300, fixed_minor={}),
    provider="simulator",
)
