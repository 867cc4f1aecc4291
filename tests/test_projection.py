"""Projection: whatever order, batch and repetition facts come in, the books are the same."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from florin.adapters.clock import ManualClock, UlidIds
from florin.adapters.memory import Memory
from florin.adapters.risk import PassingRisk
from florin.domain.chart import PLATFORM_FEES, REFUNDS_IN_TRANSIT, held, receivable, wallet
from florin.domain.hold import CaptureHold, Part, PlaceHold, Share, VoidHold
from florin.domain.ledger import Account, balances
from florin.domain.money import Money
from florin.domain.payment import CaptureMethod, RequestRefund, Step
from florin.domain.provider import Declined, Hardness, Unknown
from florin.handle import Accepted, Desk, Once
from florin.ports import AccountKey, Advance, Line, Reserved, View, Wallet
from florin.projection import PASSING_FOR, Projector
from florin.saga import Saga
from tests.support.examples import (
    NOON,
    TENANT,
    ScriptedProvider,
    accepted_payment,
    initiate,
    once,
    opened_account,
)

STEPS = (Step.ASSESS_RISK, Step.AUTHORIZE, Step.CAPTURE, Step.VOID, Step.FINISH)


def key(account: Account) -> AccountKey:
    return AccountKey(tenant_id=TENANT, account=account, currency="EUR")


@dataclass
class Shop:
    """A seller, payments for it, and the projector behind them."""

    store: Memory

    def __post_init__(self) -> None:
        self.projector = Projector(store=self.store, books=self.store)
        self.seller = opened_account(self.store)
        self.provider = ScriptedProvider()
        self.saga = Saga(
            store=self.store,
            accounts=self.store,
            clock=ManualClock(NOON),
            risk=PassingRisk(),
            provider=lambda name: self.provider,
            new_owner=lambda: "owner",
        )

    def pay(self, number: int, minor: int) -> str:
        return accepted_payment(self.store, f"key-{number}", Money(minor, "EUR"), self.seller)

    def run(self, payment_id: str, steps: int) -> None:
        for step in STEPS[:steps]:
            self.saga.run(step, payment_id, "arn:execution")

    def balance(self) -> int:
        profile = self.store.profile(TENANT, self.seller)
        assert profile is not None
        return self.store.wallet(profile).balance_minor


def test_a_captured_payment_reaches_wallet_fees_and_receivable() -> None:
    shop = Shop(Memory())
    payment_id = shop.pay(1, 1_000)
    shop.run(payment_id, 3)
    shop.projector.project([payment_id, shop.seller])
    assert shop.balance() == 970
    assert shop.store.total(key(PLATFORM_FEES)) == (0, 30)
    assert shop.store.total(key(receivable("scripted"))) == (1_000, 0)
    view = shop.store.view(payment_id)
    assert view is not None
    assert (view.status, view.version) == ("succeeded", 6)
    account = shop.store.view(shop.seller)
    assert account is not None
    assert (account.kind, account.status) == ("account", "open")


def test_a_failed_payment_books_nothing() -> None:
    shop = Shop(Memory())
    shop.provider.answers["capture"] = Declined(code="no", hardness=Hardness.HARD)
    payment_id = shop.pay(1, 1_000)
    shop.run(payment_id, 5)
    shop.projector.project([payment_id])
    view = shop.store.view(payment_id)
    assert view is not None
    assert view.status == "failed"
    assert shop.balance() == 0
    assert shop.store.total(key(PLATFORM_FEES)) == (0, 0)


def test_a_stream_without_facts_is_left_alone() -> None:
    shop = Shop(Memory())
    shop.projector.project(["pay_unseen"])
    assert shop.store.view("pay_unseen") is None


class Overtaken(Memory):
    """Another projector moves the same views just before this one's write."""

    overtakers = 0

    def advance(self, advances: Sequence[Advance]) -> bool:
        if self.overtakers:
            self.overtakers -= 1
            Projector(store=self, books=self).project([advances[0].view.stream])
        return super().advance(advances)


def test_overtaken_by_another_projector_nothing_counts_twice() -> None:
    store = Overtaken()
    shop = Shop(store)
    payments = [shop.pay(number, 1_000) for number in range(3)]
    for payment_id in payments:
        shop.run(payment_id, 3)
    store.overtakers = 1
    shop.projector.project(payments)
    assert shop.balance() == 3 * 970
    assert store.total(key(PLATFORM_FEES)) == (0, 90)


moves = st.lists(
    st.one_of(
        st.tuples(st.just("run"), st.integers(0, 3), st.integers(1, 3)),
        st.tuples(st.just("project"), st.integers(0, 3), st.integers(0, 3)),
    ),
    max_size=20,
)


@settings(deadline=None)
@given(moves)
def test_any_interleaving_gives_the_same_books(script: list[tuple[str, int, int]]) -> None:
    shop = Shop(Memory())
    amounts = (1_000, 99, 1, 4_711)
    payments = [shop.pay(number, minor) for number, minor in enumerate(amounts)]
    for move, one, other in script:
        if move == "run":
            shop.run(payments[one], other)
        else:
            shop.projector.project(payments[min(one, other) : max(one, other) + 1])
    for payment_id in payments:
        shop.run(payment_id, 3)
    shop.projector.project(payments)
    shop.projector.project(reversed(payments))

    fees = 30 + 3 + 0 + 141  # three per cent of each, half a cent up
    assert shop.store.total(key(PLATFORM_FEES)) == (0, fees)
    assert shop.balance() == sum(amounts) - fees
    statement = shop.store.statement(key(wallet(shop.seller)), limit=100)[::-1]
    assert [line.number for line in statement] == [1, 2, 3, 4]
    assert statement[-1].balance_after_minor == shop.balance()


class Counter:
    """Ids for requests that change a payment."""

    def __init__(self) -> None:
        self.keys = 0

    def once(self, payment_id: str) -> Once:
        self.keys += 1
        route = f"POST /payments/{payment_id}/refund"
        return Once(tenant_id=TENANT, key=f"change-{self.keys}", route=route, fingerprint={})


def refund(minor: int) -> Callable[[str], RequestRefund]:
    return lambda refund_id: RequestRefund(refund_id=refund_id, amount_minor=minor)


refunding = st.lists(
    st.one_of(
        st.tuples(st.just("refund"), st.integers(0, 2), st.sampled_from([1, 40, 300, 970, 1_000])),
        st.tuples(st.just("answer"), st.integers(0, 2), st.integers(0, 1)),
        st.tuples(st.just("project"), st.integers(0, 2), st.integers(0, 2)),
    ),
    max_size=30,
)


@settings(deadline=None, max_examples=150)
@given(refunding)
def test_refunds_never_overdraw_and_the_drained_books_are_those_of_the_events(
    script: list[tuple[str, int, int]],
) -> None:
    """Promises 1, 2 and 4 at every step; 7 at the end: what is derived follows from events."""
    shop, changes = Shop(Memory()), Counter()
    desk = Desk(
        store=shop.store,
        accounts=shop.store,
        clock=ManualClock(NOON),
        ids=UlidIds(),
        project=lambda payment_id: shop.projector.project([payment_id]),
    )
    payments = [shop.pay(number, 1_000) for number in range(3)]
    for payment_id in payments:
        shop.run(payment_id, 3)
    for move, one, other in script:
        payment_id = payments[one]
        if move == "refund":
            desk.change_payment(payment_id, "ref", refund(other), changes.once(payment_id))
        elif move == "answer":
            no = Declined(code="no", hardness=Hardness.HARD)
            shop.provider.answers = {"refund": no} if other else {}
            shop.saga.follow_up(payment_id, "arn:execution")
        else:
            shop.projector.project(payments[min(one, other) : max(one, other) + 1])
        assert wallet_of(shop).available_minor >= 0, "no command overdraws a wallet"

    shop.projector.project(payments)
    shop.projector.project(payments)
    entries = [
        recorded.entry
        for payment_id in payments
        for recorded in shop.store.read(payment_id).events
        if recorded.entry is not None
    ]
    books = balances(entries)
    for account in (PLATFORM_FEES, receivable("scripted"), REFUNDS_IN_TRANSIT):
        debited, credited = shop.store.total(key(account))
        assert credited - debited == books.get((account, "EUR"), 0)
    owed_to_seller = books.get((wallet(shop.seller), "EUR"), 0)
    assert wallet_of(shop).available_minor == wallet_of(shop).balance_minor == owed_to_seller


def wallet_of(shop: Shop) -> Wallet:
    profile = shop.store.profile(TENANT, shop.seller)
    assert profile is not None
    return shop.store.wallet(profile)


# Holds.


class Stalled(Memory):
    """Something else happens between a projector's reading and its first write."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: list[Callable[[], object]] = []

    def post(
        self, wallet: AccountKey, lines: Sequence[Line], reserved: Sequence[Reserved] = ()
    ) -> None:
        if self.meanwhile:
            self.meanwhile.pop()()
        super().post(wallet, lines, reserved)


class Holder(Shop):
    """A payer with money, and holds of it for the seller and another one."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.clock = ManualClock(NOON)
        self.payer = opened_account(self.store, "account-2")
        self.other = opened_account(self.store, "account-3")
        top_up = accepted_payment(self.store, "top-up", Money(2_000, "EUR"), self.payer)
        self.run(top_up, 3)
        self.projector.project([top_up])
        self.desk = Desk(store=self.store, accounts=self.store, clock=self.clock, ids=UlidIds())
        self.keys = 0
        self.holds: list[str] = []

    def once(self, route: str) -> Once:
        self.keys += 1
        return Once(tenant_id=TENANT, key=f"hold-{self.keys}", route=route, fingerprint={})

    def place(self, minor: int, expires_in: timedelta | None = None) -> None:
        parts = tuple(
            Part(recipient=recipient, amount=Money(minor, "EUR"))
            for recipient in (self.seller, self.other)
        )
        command = PlaceHold(tenant_id=TENANT, account_id=self.payer, parts=parts)
        placed = self.desk.place_hold(command, self.once("POST /holds"), expires_in)
        if isinstance(placed, Accepted):
            self.holds.append(placed.receipt.object_id)

    def capture(self, hold_id: str, minor: int, *, final: bool) -> None:
        self.desk.change_hold(
            hold_id,
            "cap",
            lambda made, now: CaptureHold(
                capture_id=made, share=Share(total_minor=minor), now=now, final=final
            ),
            self.once(f"POST /holds/{hold_id}/capture"),
        )

    def void(self, hold_id: str, minor: int) -> None:
        self.desk.change_hold(
            hold_id,
            "void",
            lambda made, now: VoidHold(share=Share(total_minor=minor), now=now),
            self.once(f"POST /holds/{hold_id}/void"),
        )

    def told(self, account_id: str) -> tuple[int, int, Mapping[str, int]]:
        """What the books tell: available, held, and what is put aside by which stream."""
        profile = self.store.profile(TENANT, account_id)
        assert profile is not None
        wallet = self.store.wallet(profile)
        aside = {one.stream: one.amount_minor for one in self.store.reserved(profile)}
        return wallet.available_minor, wallet.held_minor, aside

    def true(self, account_id: str) -> tuple[int, int, Mapping[str, int]]:
        """The same, straight from the facts."""
        facts = [fact for stream in self.store.streams() for fact in self.store.read(stream).events]
        books = balances(fact.entry for fact in facts if fact.entry)
        aside = {
            hold_id: left
            for hold_id in self.holds
            if account_id == self.payer
            for left in [
                balances(fact.entry for fact in facts if fact.stream == hold_id and fact.entry).get(
                    (held(account_id), "EUR"), 0
                )
            ]
            if left
        }
        of_wallet = books.get((wallet(account_id), "EUR"), 0)
        return of_wallet, books.get((held(account_id), "EUR"), 0), aside


@pytest.mark.parametrize("final", [False, True])
def test_a_projector_that_comes_late_brings_back_nothing_that_was_held(final: bool) -> None:
    store = Stalled()
    shop = Holder(store)
    shop.place(300)
    (hold_id,) = shop.holds

    def overtake() -> None:
        shop.capture(hold_id, 100, final=final)
        shop.projector.project([hold_id])

    store.meanwhile = [overtake]
    shop.projector.project([hold_id])
    assert not store.meanwhile
    assert shop.told(shop.payer) == shop.true(shop.payer)
    assert shop.told(shop.payer)[1] == (0 if final else 500)


def test_a_hold_told_of_again_and_again_counts_once() -> None:
    shop = Holder(Memory())
    shop.place(300)
    for _ in range(3):
        shop.projector.project([*shop.holds, *shop.holds])
    assert shop.told(shop.payer) == (1_340, 600, {shop.holds[0]: 600})
    shop.void(shop.holds[0], 600)
    for _ in range(3):
        shop.projector.project(shop.holds)
    assert shop.told(shop.payer) == (1_940, 0, {})


holding = st.lists(
    st.one_of(
        st.tuples(st.just("place"), st.sampled_from([1, 50, 300]), st.sampled_from([0, 0, 60])),
        st.tuples(st.just("capture"), st.integers(0, 2), st.sampled_from([1, 99, 100])),
        st.tuples(st.just("capture_all"), st.integers(0, 2), st.sampled_from([1, 99, 100])),
        st.tuples(st.just("void"), st.integers(0, 2), st.sampled_from([1, 99, 100])),
        st.tuples(st.just("expire"), st.integers(0, 2), st.sampled_from([0, 60])),
        st.tuples(st.just("project"), st.integers(0, 2), st.integers(0, 2)),
    ),
    max_size=25,
)


@settings(deadline=None, max_examples=150)
@given(holding)
def test_holds_in_any_order_and_repetition_give_the_same_books(
    script: list[tuple[str, int, int]],
) -> None:
    """Projectors stall when they have read, until some of the next moves were made and told of."""
    store = Stalled()
    shop = Holder(store)
    shop.place(50)
    for place, (move, one, other) in enumerate(script):
        if move == "project":
            others = script[place + 1 : place + 1 + other]
            store.meanwhile = [partial(_moves, shop, [*others, (move, one, 0)])] if others else []
        _moves(shop, [(move, one, other)])
    store.meanwhile = []
    shop.projector.project(reversed(shop.holds))
    shop.projector.project(shop.holds)
    for account_id in (shop.payer, shop.seller, shop.other):
        assert shop.told(account_id) == shop.true(account_id)
        statement = store.statement(key(wallet(account_id)), limit=1_000)[::-1]
        assert [line.number for line in statement] == [*range(1, len(statement) + 1)]


def _moves(shop: Holder, moves: Iterable[tuple[str, int, int]]) -> None:
    for move, one, other in moves:
        if move == "place":
            shop.place(one, timedelta(seconds=other) if other else None)
            continue
        if not shop.holds:
            continue
        hold_id = shop.holds[one % len(shop.holds)]
        match move:
            case "capture" | "capture_all":
                shop.capture(hold_id, other, final=move == "capture_all")
            case "void":
                shop.void(hold_id, other)
            case "expire":
                shop.clock.advance(timedelta(seconds=other))
                shop.desk.expire_hold(hold_id)
            case "project":
                some = shop.holds[one:] + shop.holds[:one]
                shop.projector.project(reversed(some) if one == 1 else some)
            case _:
                raise AssertionError(move)


@dataclass
class Passing(Shop):
    """A shop whose projector reads facts as they come."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.clock = ManualClock(NOON)
        self.projector = Projector(store=self.store, books=self.store, now=self.clock.now)

    def view(self, payment_id: str) -> View:
        view = self.store.view(payment_id)
        assert view is not None
        return view

    def follow(self, payment_id: str) -> View:
        self.projector.project([payment_id])
        return self.view(payment_id)


def test_the_view_of_a_payment_on_its_way_moves_when_it_is_accepted_and_when_it_ends() -> None:
    shop = Passing(Memory())
    payment_id = shop.pay(1, 1_000)
    accepted = shop.follow(payment_id)
    assert (accepted.status, accepted.version) == ("processing", 1)
    shop.run(payment_id, 2)  # authorized, and its capture is owed
    assert shop.follow(payment_id) == accepted
    shop.run(payment_id, 3)
    captured = shop.follow(payment_id)
    assert (captured.status, captured.version) == ("succeeded", 6)
    shop.projector.project([shop.seller])
    assert shop.balance() == 970


def test_a_payment_that_stopped_on_its_way_is_told_of_as_it_is() -> None:
    shop = Passing(Memory())
    payment_id = shop.pay(1, 1_000)
    shop.follow(payment_id)
    shop.run(payment_id, 2)
    shop.clock.advance(PASSING_FOR)
    assert shop.follow(payment_id).version == 1
    shop.clock.advance(timedelta(milliseconds=1))
    assert (shop.follow(payment_id).status, shop.view(payment_id).version) == ("authorized", 4)


def test_who_does_not_wait_for_the_next_fact_moves_every_view() -> None:
    shop = Passing(Memory())
    payment_id = shop.pay(1, 1_000)
    shop.follow(payment_id)
    shop.run(payment_id, 1)
    Projector(store=shop.store, books=shop.store).project([payment_id])
    assert shop.view(payment_id).version == 2


def test_what_waits_for_somebody_does_not_pass() -> None:
    shop = Passing(Memory())
    shop.provider.answers = {"authorization": Unknown(reason="timeout")}
    payment_id = shop.pay(1, 1_000)
    shop.follow(payment_id)
    shop.run(payment_id, 2)
    assert shop.follow(payment_id).status == "awaiting_provider"


def test_a_payment_that_was_taken_up_does_not_pass() -> None:
    shop = Passing(Memory())
    payment_id = shop.pay(1, 1_000)
    view = shop.follow(payment_id)
    assert shop.store.postpone(view, NOON + timedelta(hours=1))
    shop.run(payment_id, 1)
    assert shop.follow(payment_id).version == 2


def test_an_authorization_that_rests_does_not_pass() -> None:
    shop = Passing(Memory())
    asked = replace(initiate(recipient=shop.seller), capture_method=CaptureMethod.MANUAL)
    answer = Desk(
        store=shop.store, accounts=shop.store, clock=shop.clock, ids=UlidIds()
    ).initiate_payment(asked, once("manual"))
    assert isinstance(answer, Accepted)
    shop.follow(answer.receipt.object_id)
    shop.run(answer.receipt.object_id, 2)
    assert shop.follow(answer.receipt.object_id).status == "authorized"
