"""Projection: whatever order, batch and repetition facts come in, the books are the same."""

from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from florin.adapters.clock import ManualClock
from florin.adapters.memory import Memory
from florin.adapters.risk import PassingRisk
from florin.domain.chart import PLATFORM_FEES, receivable, wallet
from florin.domain.ledger import Account
from florin.domain.money import Money
from florin.domain.payment import Step
from florin.domain.provider import Declined, Hardness
from florin.ports import AccountKey, Advance
from florin.projection import Projector
from florin.saga import Saga
from tests.support.examples import (
    NOON,
    TENANT,
    ScriptedProvider,
    accepted_payment,
    opened_account,
)

STEPS = (Step.ASSESS_RISK, Step.AUTHORIZE, Step.CAPTURE, Step.VOID, Step.FAILED)


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
    statement = shop.store.statement(key(wallet(shop.seller)))
    assert [line.number for line in statement] == [1, 2, 3, 4]
    assert statement[-1].balance_after_minor == shop.balance()
