"""Projection: whatever order, batch and repetition facts come in, the books are the same."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from florin.adapters.clock import ManualClock, UlidIds
from florin.adapters.memory import Memory
from florin.adapters.risk import PassingRisk
from florin.domain.chart import PLATFORM_FEES, REFUNDS_IN_TRANSIT, receivable, wallet
from florin.domain.ledger import Account, balances
from florin.domain.money import Money
from florin.domain.payment import RequestRefund, Step
from florin.domain.provider import Declined, Hardness
from florin.handle import Desk, Once
from florin.ports import AccountKey, Advance, Wallet
from florin.projection import Projector
from florin.saga import Saga
from tests.support.examples import (
    NOON,
    TENANT,
    ScriptedProvider,
    accepted_payment,
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
