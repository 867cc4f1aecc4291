"""Many actors at once: in any interleaving the promises hold, and the books follow from events.

Clients, sagas, the sweeper and two shards' projectors work on one small world. Each of them may
be stopped before any call of a port while others go on, may be gone for good, may come too late
and may come again; the provider answers, refuses, is not reached or says nothing. An auditor is
told of every write and checks promises 1 to 6 with it; at the end everybody finishes, and what
was derived is compared with a rebuild from the events and with sums over the journal.

Longer by hand: `pytest tests/test_many_actors.py --hypothesis-profile=long`
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import count
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import boto3
import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from moto import mock_aws

from florin.adapters import ulid
from florin.adapters.clock import ManualClock
from florin.adapters.dynamodb import Dynamo
from florin.adapters.memory import Memory, MemoryConfig
from florin.adapters.risk import PassingRisk
from florin.domain.account import AccountClosing, AccountMinBalanceChanged, AccountOpened
from florin.domain.fees import FeeSchedule
from florin.domain.history import Event, Recorded
from florin.domain.hold import HoldCaptured, HoldEnding, HoldPlaced, HoldReleased, OpenHold
from florin.domain.payment import (
    ATTEMPTS_MAX,
    Captured,
    CaptureMethod,
    Held,
    Outcome,
    Payment,
    PaymentCancelRequested,
    PaymentCaptureRequested,
    PaymentInitiated,
    PaymentRefundRequested,
    PaymentRestReleased,
    Pending,
    Step,
    Undoing,
    open_calls,
    owed,
)
from florin.domain.refusals import Refusal
from florin.edge import log
from florin.projection import Projector
from florin.saga import CALL_BUDGET, Saga
from tests.functions.world import OTHER_TENANT, Reply, World, payment_body, posted, tenant
from tests.support.auditor import Auditor, Watched
from tests.support.bank import Bank, Fate
from tests.support.examples import NOON, TENANT
from tests.support.relay import Actor, Pause, Relay
from tests.support.tables import make_tables

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

T = TypeVar("T")
Json = dict[str, Any]

TIMEOUT: Final = timedelta(seconds=10)
"""That of the functions: who has stopped for longer is gone."""

FORWARD: Final = (Step.ASSESS_RISK, Step.AUTHORIZE, Step.CAPTURE)
SHARDS: Final = 2

# Few things and few amounts, so that what happens happens to the same ones.
which = st.integers(0, 3)
somebody = st.integers(0, 6)
amounts = st.sampled_from([1, 40, 100, 300, 970, 1_000])
TOO_MUCH: Final = -1
"""One more than there is left."""
perhaps = st.none() | amounts | st.just(TOO_MUCH)
pauses = st.one_of(
    *[st.none()] * 4,
    st.builds(Pause, st.integers(0, 3)),
    st.builds(Pause, st.integers(0, 9), st.just(True)),
)
fates = st.lists(st.sampled_from([Fate.APPROVED] * 4 + [Fate.LATE] * 2 + [*Fate]), max_size=3)
rarely = st.sampled_from([False, False, False, True])
seconds = st.sampled_from([None, None, 5, 30])


@dataclass(frozen=True)
class Asked:
    """A request, by which it is the same one again."""

    tenant_id: str
    key: str
    resource: str
    named: Mapping[str, str]
    body: Json

    def event(self) -> Json:
        event = posted(self.resource, json.dumps(self.body), self.key, self.tenant_id)
        event |= {"path": self.resource.format_map(self.named)}
        event["pathParameters"] = dict(self.named) or None
        return event

    def changed(self) -> "Asked":
        """Another request under the same key."""
        other: Json
        match self.resource:
            case "/payments" | "/holds":
                other = {"description": "Another one"}
            case "/accounts":
                other = {"priority": 9}
            case "/accounts/{account_id}":
                other = {"min_balance": -7}
            case "/payments/{payment_id}/capture" | "/holds/{hold_id}/capture":
                other = {"final": self.body.get("final") is False}
            case _:
                other = {"reason": "Another one"}
        return replace(self, body=self.body | other)


@dataclass
class Client:
    """What was asked under one key, and what came of it."""

    asked: Asked
    unanswered: list[Asked] = field(default_factory=list)
    done: str | None = None
    """The answer that it was done, once one has come."""
    news: int = 0
    """How often it was answered as something new."""
    bound: str | None = None
    """Why it was refused for good."""


class CountedIds:
    """The same ids in every run, which do not look like anything else."""

    def __init__(self) -> None:
        self._next = count(1)

    def new(self, prefix: str, at: datetime) -> str:
        digest = sha256(str(next(self._next)).encode()).digest()
        return f"{prefix}_{ulid.text_of(ulid.value_at(at, int.from_bytes(digest[:10], 'big')))}"


@dataclass
class Shard:
    """Records of the stream of events in order, and how far they are certainly worked on."""

    records: list[str] = field(default_factory=list)
    done: int = 0


def one_of(things: Sequence[T], number: int) -> T:
    """One of the newest things."""
    return things[-1 - number % len(things)]


Account = tuple[str, str, str]
"""Tenant, id and currency."""


class ManyActors(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock(NOON)
        self.relay = Relay(self.clock.now)
        self.bank = Bank(self.relay, self.clock)
        store, inner = self.make_store()
        self.auditor = Auditor(inner, self.bank)
        self.watched: Any = Watched(store, self.auditor, self.relay, self.told)
        self.shards = [Shard() for _ in range(SHARDS)]
        self.clients: dict[tuple[str, str], Client] = {}
        self.accounts: list[Account] = []
        self.payments: list[tuple[str, str]] = []
        self.holds: list[tuple[str, str, list[str]]] = []
        self.api = World()
        self.api.use(
            store=self.watched,
            books=self.watched,
            accounts=self.watched,
            clock=self.clock,
            ids=CountedIds(),
            config=MemoryConfig(
                tenants={
                    TENANT: tenant(),
                    OTHER_TENANT: replace(
                        tenant(OTHER_TENANT),
                        fees=FeeSchedule(basis_points=250, fixed_minor={"EUR": 30}),
                    ),
                },
            ),
        )
        owners = count(1)
        self.saga = Saga(
            store=self.watched,
            accounts=self.watched,
            clock=self.clock,
            risk=PassingRisk(),
            provider=lambda name: self.bank,
            new_owner=lambda: f"owner-{next(owners)}",
        )

    def make_store(self) -> tuple[Any, Any]:
        """A store for the actors, and the same one for who only watches."""
        store = Memory()
        return store, store

    @initialize()
    def a_few_accounts_with_money(self) -> None:
        """The second is a balance of the first."""
        for tenant_id, kind, minor in (
            (TENANT, "customer", 4_000),
            (TENANT, "customer", 500),
            (TENANT, "seller", 900),
            (OTHER_TENANT, "customer", 1_500),
            (OTHER_TENANT, "seller", 0),
        ):
            asked: Json = {"currency": "EUR", "kind": kind}
            if len(self.accounts) == 1:
                asked |= {"parent": self.accounts[0][1], "priority": -1}
            self.ask(tenant_id, "/accounts", asked)
            if minor:
                body = payment_body(self.accounts[-1][1], amount=minor)
                self.ask(tenant_id, "/payments", body)
                self.execute(self.payments[-1][1])
        self.deliver_all()

    def account(self, number: int) -> Account:
        """One of the accounts; the first have money."""
        return self.accounts[number % len(self.accounts)]

    def beside(self, account: Account, number: int) -> str:
        """Another account of the same tenant."""
        others = [one for one in self.accounts if one[0] == account[0] and one != account]
        return others[number % len(others)][1]

    def payment(
        self, number: int, fit: Callable[[Payment], bool], *, manual: bool = True
    ) -> tuple[str, str]:
        """A payment that is fit for something, made if there is none; but not always."""
        found = [one for one in self.payments if fit(self.auditor.payments[one[1]])]
        if number == 3:
            return one_of(self.payments, number)
        if not found:
            self.pay(0, number, "wallet:{}:*", 970, manual, None, [])
        return one_of(found or self.payments, number)

    # Actors.

    def act(self, work: Callable[[], object], pause: Pause | None = None, **more: Any) -> None:
        self.relay.start(Actor(work, **more), pause)

    @rule(number=which, pause=pauses, lost=rarely)
    def go_on(self, number: int, pause: Pause | None, lost: bool) -> None:
        if not self.relay.stopped:
            return
        actor = one_of(self.relay.stopped, number)
        if lost:
            self.relay.lose(actor)
        else:
            self.relay.go_on(actor, pause)

    @rule(after_s=st.sampled_from([1, 4, 8, 12, 17, 60, 400]))
    def wait(self, after_s: int) -> None:
        self.clock.advance(timedelta(seconds=after_s))

    # Clients.

    def ask(
        self,
        tenant_id: str,
        resource: str,
        body: Json,
        pause: Pause | None = None,
        **named: str,
    ) -> Client:
        key = f"key-{len(self.clients)}"
        asked = Asked(tenant_id, key, resource, named, body)
        client = self.clients[tenant_id, key] = Client(asked)
        self.send(asked, pause)
        return client

    def send(self, asked: Asked, pause: Pause | None = None) -> None:
        client = self.clients[asked.tenant_id, asked.key]
        state = self.auditor.payments.get(asked.named.get("payment_id", ""))
        before = replace(client)
        written = len(self.auditor.journal)
        if asked not in client.unanswered:
            client.unanswered.append(asked)

        def request() -> None:
            reply = self.api.send(asked.event())
            self.answered(asked, before, reply)
            if pause is None:
                self.blocked(asked, before, state, reply, written)

        self.act(request, pause, deadline=self.clock.now() + TIMEOUT)

    def answered(self, asked: Asked, before: Client, reply: Reply) -> None:
        """One key, one effect; and whoever asks again gets the first answer."""
        assert reply.status < 500, reply.text
        client = self.clients[asked.tenant_id, asked.key]
        same = asked == client.asked
        if asked in client.unanswered:
            client.unanswered.remove(asked)
        if reply.status == 201:
            assert client.bound is None, "what was refused for good was done"
            if client.done is None and client.news == 0 and not same:
                client.asked, same = asked, True  # the other one was refused and bound nothing
            assert same, "done under a key of something else"
            assert client.done in {None, reply.text}, "another answer than the first"
            client.done = reply.text
            if "Idempotent-Replayed" not in reply.headers:
                client.news += 1
                self.made(asked, reply.body)
            assert client.news <= 1, "two effects"
            return
        code = reply.error["code"]
        if before.done is not None:
            assert code == Refusal.IDEMPOTENCY_KEY_REUSED, f"{code} after it was done"
            assert not same, "the same request"
        elif before.bound is not None and same:
            assert code == before.bound, "another refusal than the first"
        if reply.status == 409 and not reply.error["transient"]:
            receipt = self.auditor.store.receipt(asked.tenant_id, asked.key)
            assert receipt is not None, "refused for good, and not kept"
            assert receipt.refusal == code
            if same:
                client.bound = code

    def blocked(
        self, asked: Asked, before: Client, state: object, reply: Reply, written: int
    ) -> None:
        """Where the provider was asked and has not answered, nothing else is done or kept."""
        if before.done or before.bound or not isinstance(state, Pending | Held):
            return
        if not any(call.unanswered for call in open_calls(state)):
            return
        if asked.resource.startswith("/payments/{") and reply.status == 409:
            assert reply.error["code"] == Refusal.PROVIDER_ANSWER_PENDING
            assert reply.error["transient"]
        assert reply.status in {404, 409, 422}, "done while the provider's answer is open"
        assert len(self.auditor.journal) == written

    def made(self, asked: Asked, body: Json) -> None:
        match asked.resource:
            case "/accounts":
                self.accounts.append((asked.tenant_id, body["account_id"], body["currency"]))
            case "/payments":
                self.payments.append((asked.tenant_id, body["payment_id"]))
            case "/holds":
                parts = [part["recipient"] for part in asked.body["parts"]]
                self.holds.append((asked.tenant_id, body["hold_id"], parts))
            case _:
                pass

    @rule(
        number=somebody,
        what=st.sampled_from(
            ["open", "open_abroad", "open_balance", "open_balance", "limit", "limit", "close"]
        ),
        limit=st.sampled_from([0, -100, 50]),
        priority=st.sampled_from([0, -1, 1]),
        expires_in_s=seconds,
        pause=pauses,
    )
    def change_account(
        self,
        number: int,
        what: str,
        limit: int,
        priority: int,
        expires_in_s: int | None,
        pause: Pause | None,
    ) -> None:
        tenant_id, account_id, currency = self.account(number)
        if what == "limit":
            body: Json = {"min_balance": limit}
            self.ask(tenant_id, "/accounts/{account_id}", body, pause, account_id=account_id)
            return
        if what == "close":
            self.ask(tenant_id, "/accounts/{account_id}/close", {}, pause, account_id=account_id)
            return
        body = {"currency": currency, "kind": "customer", "min_balance": min(limit, 0)}
        if what == "open_abroad":
            body["currency"] = "JPY"
        if what == "open_balance":
            body |= {"parent": account_id, "priority": priority}
        if expires_in_s:
            body["expires_in_s"] = expires_in_s
        self.ask(tenant_id, "/accounts", body, pause)

    @rule(
        payer=somebody,
        to=somebody,
        means=st.sampled_from(["tok_visa", "wallet:{}", "wallet:{}:*"]),
        amount=amounts,
        manual=st.booleans(),
        pause=pauses,
        answers=st.none() | fates,
    )
    def pay(
        self,
        payer: int,
        to: int,
        means: str,
        amount: int,
        manual: bool,
        pause: Pause | None,
        answers: list[Fate] | None,
    ) -> None:
        """With answers, its saga runs at once."""
        tenant_id, account_id, currency = self.account(payer)
        body = payment_body(
            self.beside(self.account(payer), to),
            amount=amount,
            currency=currency,
            payment_method=means.format(account_id),
            capture_method="manual" if manual else "automatic",
        )
        known = len(self.payments)
        self.ask(tenant_id, "/payments", body, pause)
        if answers is not None and len(self.payments) > known:
            self.execute(self.payments[-1][1], None, answers)

    @rule(
        number=which,
        what=st.sampled_from(["capture", "cancel"]),
        amount=perhaps,
        final=st.booleans(),
        pause=pauses,
        answers=st.none() | fates,
    )
    def change_payment(
        self,
        number: int,
        what: str,
        amount: int | None,
        final: bool,
        pause: Pause | None,
        answers: list[Fate] | None,
    ) -> None:
        tenant_id, payment_id = self.payment(number, _can_be_captured)
        body: Json = {}
        if what == "capture":
            left = _capturable(self.auditor.payments[payment_id])
            body = _amount(amount, left) | {"final": final}
        self.ask(tenant_id, f"/payments/{{payment_id}}/{what}", body, pause, payment_id=payment_id)
        if answers is not None:
            self.execute(payment_id, None, answers, follow_up=True)

    @rule(
        number=which,
        amount=perhaps,
        pause=pauses,
        answers=st.none() | fates | st.just([Fate.DECLINED]),
    )
    def refund(
        self, number: int, amount: int | None, pause: Pause | None, answers: list[Fate] | None
    ) -> None:
        tenant_id, payment_id = self.payment(number, _can_be_refunded, manual=False)
        body = _amount(amount, _refundable(self.auditor.payments[payment_id]))
        self.ask(tenant_id, "/payments/{payment_id}/refund", body, pause, payment_id=payment_id)
        if answers is not None:
            self.execute(payment_id, None, answers, follow_up=True)

    @rule(
        payer=somebody,
        to=st.lists(somebody, min_size=1, max_size=2),
        amount=amounts,
        expires_in_s=seconds,
        pause=pauses,
    )
    def hold(
        self, payer: int, to: list[int], amount: int, expires_in_s: int | None, pause: Pause | None
    ) -> None:
        tenant_id, account_id, currency = self.account(payer)
        recipients = dict.fromkeys(self.beside(self.account(payer), one) for one in to)
        parts = [
            {"recipient": recipient, "amount": amount // place or 1}
            for place, recipient in enumerate(recipients, start=1)
        ]
        body: Json = {"account": account_id, "currency": currency, "parts": parts}
        if expires_in_s:
            body["expires_in_s"] = expires_in_s
        self.ask(tenant_id, "/holds", body, pause)

    @rule(
        number=which,
        what=st.sampled_from(["capture", "void", "expire"]),
        amount=perhaps,
        by_name=st.booleans(),
        final=st.booleans(),
        pause=pauses,
    )
    def change_hold(
        self,
        number: int,
        what: str,
        amount: int | None,
        by_name: bool,
        final: bool,
        pause: Pause | None,
    ) -> None:
        found = [one for one in self.holds if isinstance(self.auditor.holds[one[1]], OpenHold)]
        if not found:
            self.hold(number, [number], 300, None, None)
        if not self.holds:
            return
        tenant_id, hold_id, recipients = one_of(found or self.holds, number)
        if what == "expire":
            self.act(lambda: self.api.app.desk.expire_hold(hold_id), pause)
            return
        state = self.auditor.holds[hold_id]
        left = sum(state.left.values()) if isinstance(state, OpenHold) else 0
        body = _amount(amount, left)
        if by_name and body:
            body = {"parts": [body | {"recipient": recipients[-1]}]}
        if what == "capture":
            body["final"] = final
        self.ask(tenant_id, f"/holds/{{hold_id}}/{what}", body, pause, hold_id=hold_id)

    @rule(number=st.integers(0, 9), other=st.booleans(), pause=pauses)
    def again(self, number: int, other: bool, pause: Pause | None) -> None:
        client = one_of(list(self.clients.values()), number)
        self.send(client.asked.changed() if other else client.asked, pause)

    @rule(
        payment=which,
        account=somebody,
        what=st.sampled_from(["capture", "cancel", "refund"]),
        pause=pauses,
    )
    def look(self, payment: int, account: int, what: str, pause: Pause | None) -> None:
        """Also as somebody who has no business with it, who asks for something too."""
        payers, payment_id = one_of(self.payments, payment)
        holders, account_id, _ = self.account(account)

        def read() -> None:
            for tenant_id in (TENANT, OTHER_TENANT):
                seen = self.api.get("/payments/{payment_id}", payment_id, tenant_id)
                assert seen.status == (200 if tenant_id == payers else 404)
                wallet = self.api.get("/wallets/{account_id}", account_id, tenant_id)
                assert wallet.status == (200 if tenant_id == holders else 404)
                if tenant_id == holders:
                    has = wallet.body
                    assert has["available"] + has["held"] == has["balance"]

        self.act(read, pause)
        stranger = TENANT if payers == OTHER_TENANT else OTHER_TENANT
        client = self.ask(stranger, f"/payments/{{payment_id}}/{what}", {}, payment_id=payment_id)
        assert client.done is None

    # Sagas.

    @rule(number=which, follow_up=st.booleans(), answers=fates, pause=pauses)
    def run_saga(
        self, number: int, follow_up: bool, answers: list[Fate], pause: Pause | None
    ) -> None:
        payment_id = self.payment(number, lambda state: bool(owed(state)))[1]
        self.execute(payment_id, pause, answers, follow_up=follow_up)

    @rule(number=which, first=st.booleans(), second=st.booleans(), answers=fates, after=which)
    def run_two_sagas(
        self, number: int, first: bool, second: bool, answers: list[Fate], after: int
    ) -> None:
        """Another execution has the same in mind, and does it in the middle of this one."""
        payment_id = self.payment(number, lambda state: bool(owed(state)))[1]
        stopped = len(self.relay.stopped)
        self.execute(payment_id, Pause(after), follow_up=first)
        self.execute(payment_id, None, answers, follow_up=second)
        if len(self.relay.stopped) > stopped:
            self.relay.go_on(self.relay.stopped[-1], None)

    def execute(
        self,
        payment_id: str,
        pause: Pause | None = None,
        answers: Sequence[Fate] = (),
        *,
        follow_up: bool = False,
    ) -> None:
        def machine() -> None:
            if follow_up:
                self.saga.follow_up(payment_id, "arn:follow-up")
                return
            for step in FORWARD:
                outcome = self.saga.run(step, payment_id, "arn:payment")
            if outcome is Outcome.COMPENSATE:
                self.saga.run(Step.VOID, payment_id, "arn:payment")
                self.saga.run(Step.FINISH, payment_id, "arn:payment")

        deadline = self.clock.now() + TIMEOUT
        self.act(machine, pause, fates=[*answers], deadline=deadline)

    # The stream of events.

    def told(self, facts: Sequence[Recorded]) -> None:
        for fact in facts:
            shard = sum(fact.stream.encode()) % SHARDS
            self.shards[shard].records.append(fact.stream)

    @rule(
        number=st.integers(0, SHARDS - 1),
        size=st.integers(1, 12),
        back=st.integers(0, 6),
        backwards=st.booleans(),
        pause=pauses,
    )
    def deliver(
        self, number: int, size: int, back: int, backwards: bool, pause: Pause | None
    ) -> None:
        shard = self.shards[number]
        start, stop = max(0, shard.done - back), shard.done + size
        batch = shard.records[start:stop]

        def project() -> None:
            streams = reversed(batch) if backwards else batch
            Projector(store=self.watched, books=self.watched).project(streams)
            shard.done = max(shard.done, start + len(batch))

        self.act(project, pause)

    def deliver_all(self) -> None:
        for number, shard in enumerate(self.shards):
            while shard.done < len(shard.records):
                self.deliver(number, len(shard.records), 0, False, None)

    # The end.

    def teardown(self) -> None:
        if self.relay.failed:
            self.relay.lose_all()
            return
        while self.relay.stopped:
            self.relay.go_on(self.relay.stopped[0], None)
        self.deliver_all()
        for client in list(self.clients.values()):
            for asked in client.unanswered[:]:
                self.send(asked)
        for waits in (CALL_BUDGET, self.bank.not_found_final_after) * 4:
            for _, payment_id in self.payments:
                asked_before = open_calls(self.auditor.payments[payment_id])
                self.execute(payment_id, answers=[Fate.LATE] if asked_before else ())
                self.execute(payment_id, follow_up=True)
            self.clock.advance(waits)
        self.deliver_all()
        for client in self.clients.values():
            if client.done is not None or client.bound is not None:
                self.send(client.asked)
        self.deliver_all()
        self.auditor.check_drained()
        self.nothing_is_stuck()
        self.effects_are_those_of_the_keys()

    def nothing_is_stuck(self) -> None:
        for payment in self.auditor.payments.values():
            match payment:
                case Held(terms=terms):
                    assert terms.capture_method is CaptureMethod.MANUAL
                    assert not owed(payment)
                case Undoing(attempts=attempts):
                    assert attempts == ATTEMPTS_MAX, "the provider would not void it: it is parked"
                case Captured():
                    assert not owed(payment)
                case Pending():
                    raise AssertionError("accepted and forgotten")
                case _:
                    pass

    def effects_are_those_of_the_keys(self) -> None:
        accepted = {key for key, client in self.clients.items() if client.done is not None}
        assert set(self.auditor.keys) == accepted
        asked_for = [fact for fact in self.auditor.journal if _asked_for(fact.event)]
        assert len(asked_for) == len(accepted)


def _can_be_captured(state: Payment) -> bool:
    return _capturable(state) > 0


def _can_be_refunded(state: Payment) -> bool:
    return _refundable(state) > 0


def _capturable(state: Payment) -> int:
    match state:
        case Held(authorization=authorization):
            return authorization.amount.minor
        case Captured(closed=False, capturable=left):
            return left.minor
        case _:
            return 0


def _refundable(state: Payment) -> int:
    return state.refundable.minor if isinstance(state, Captured) else 0


def _asked_for(event: Event) -> bool:
    """Whether a fact is the effect of a request."""
    match event:
        case HoldReleased(ending=ending):
            return ending is HoldEnding.VOIDED
        case (
            AccountOpened()
            | AccountMinBalanceChanged()
            | AccountClosing()
            | PaymentInitiated()
            | PaymentCaptureRequested()
            | PaymentCancelRequested()
            | PaymentRestReleased()
            | PaymentRefundRequested()
            | HoldPlaced()
            | HoldCaptured()
        ):
            return True
        case _:
            return False


def _amount(minor: int | None, left: int) -> Json:
    if minor is None:
        return {}
    return {"amount": left + 1 if minor == TOO_MUCH else minor}


class Stopping:
    """A client of which every call is a place to stop."""

    def __init__(self, client: "DynamoDBClient", relay: Relay) -> None:
        self._client = client
        self._relay = relay

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self._client, name)

        def call(**request: Any) -> Any:
            self._relay.stop(reading=name not in {"put_item", "transact_write_items"})
            return operation(**request)

        return call


class ManyActorsOnDynamoDB(ManyActors):
    """The same, stopped also between what one call of a port asks of DynamoDB."""

    def make_store(self) -> tuple[Any, Any]:
        self.aws = mock_aws()
        self.aws.start()
        client = boto3.client("dynamodb", region_name="us-east-1")
        tables = make_tables(client, "actors")
        stopping = cast("DynamoDBClient", Stopping(client, self.relay))
        return (
            Dynamo(stopping, tables, pause=lambda _: None),
            Dynamo(client, tables, pause=lambda _: None),
        )

    def teardown(self) -> None:
        try:
            super().teardown()
        finally:
            self.aws.stop()


@pytest.fixture(autouse=True, scope="module")
def _quiet() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOG_LEVEL", log.QUIET)
        yield


TestManyActors = ManyActors.TestCase
TestManyActors.settings = settings(
    settings(),
    max_examples=3 * settings().max_examples // 2,
    stateful_step_count=50,
    deadline=None,
    report_multiple_bugs=False,
)

TestManyActorsOnDynamoDB = ManyActorsOnDynamoDB.TestCase
TestManyActorsOnDynamoDB.settings = settings(
    settings(),
    max_examples=settings().max_examples // 25,
    stateful_step_count=30,
    deadline=None,
    # What it finds is found in memory too, most of the time; here a shorter one takes minutes.
    phases=[phase for phase in settings().phases if phase is not Phase.shrink],
)
