"""What every event store promises."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from florin.adapters.codec import CorruptEventError, verify
from florin.domain.account import AccountKind
from florin.domain.chart import REFUNDS_IN_TRANSIT, wallet
from florin.domain.history import NO_EVENTS, Draft, Head, History
from florin.domain.ledger import Entry, Leg, Posting, Side
from florin.domain.money import Money
from florin.domain.payment import (
    PaymentRefundRequested,
    PaymentRiskAssessed,
    PaymentVoided,
    RiskDecision,
    decide,
    fold,
)
from florin.domain.refusals import Refusal
from florin.ports import (
    AccountKey,
    AlreadyReceived,
    Appended,
    Batch,
    InsufficientFunds,
    Line,
    Profile,
    Receipt,
    StreamMoved,
)
from tests.contracts.conftest import Store
from tests.support.examples import (
    NOON,
    TEN,
    TENANT,
    accepted_payment,
    facts,
    initiate,
    opened_account,
)

ASSESSED = Draft(event=PaymentRiskAssessed(decision=RiskDecision.ALLOW, assessor="pass"))


def initiated() -> Draft:
    (event,) = facts(decide(initiate(), fold([])))
    return Draft(event=event)


def batch(*drafts: Draft, after: Head = NO_EVENTS, stream: str = "pay_1", **more: object) -> Batch:
    fields = {"tenant_id": TENANT, "at": NOON, **more}
    return Batch(stream=stream, after=after, drafts=drafts, **fields)  # type: ignore[arg-type]


def receipt(key: str, object_id: str) -> Receipt:
    return Receipt(
        tenant_id=TENANT,
        key=key,
        route="POST /payments",
        object_id=object_id,
        recorded_at=NOON,
        fingerprint={"amount": "hash", "metadata.loom": "other"},
    )


def test_an_unseen_stream_is_empty(store: Store) -> None:
    assert store.read("pay_unseen") == History()
    assert store.read("pay_unseen").head == NO_EVENTS


def test_facts_come_back_as_they_were_recorded(store: Store) -> None:
    appended = store.append(batch(initiated(), ASSESSED, execution="arn:one"))
    assert isinstance(appended, Appended)
    history = store.read("pay_1")
    assert history.events == appended.recorded
    assert [recorded.version for recorded in history.events] == [1, 2]
    assert [recorded.event for recorded in history.events] == [initiated().event, ASSESSED.event]
    assert {recorded.execution for recorded in history.events} == {"arn:one"}
    assert {recorded.recorded_at for recorded in history.events} == {NOON}


def test_a_stale_writer_changes_nothing(store: Store) -> None:
    store.append(batch(initiated()))
    head = store.read("pay_1").head
    assert isinstance(store.append(batch(ASSESSED, after=head)), Appended)
    before = store.read("pay_1")
    voided = Draft(event=PaymentVoided(amount=TEN))
    assert store.append(batch(voided, after=head)) == StreamMoved()
    assert store.append(batch(voided, voided, after=head)) == StreamMoved()
    assert store.read("pay_1") == before


def test_time_never_runs_backwards_in_a_stream(store: Store) -> None:
    store.append(batch(initiated()))
    head = store.read("pay_1").head
    store.append(batch(ASSESSED, after=head, at=NOON - timedelta(hours=1)))
    assert [recorded.recorded_at for recorded in store.read("pay_1").events] == [NOON, NOON]


@pytest.mark.usefixtures("atomic")
def test_of_many_writers_one_wins(store: Store) -> None:
    store.append(batch(initiated()))
    head = store.read("pay_1").head

    def write(number: int) -> object:
        fact = PaymentRiskAssessed(decision=RiskDecision.ALLOW, assessor=f"writer {number}")
        return store.append(batch(Draft(event=fact), after=head))

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(write, range(8)))
    assert sum(isinstance(answer, Appended) for answer in answers) == 1
    assert sum(isinstance(answer, StreamMoved) for answer in answers) == 7
    assert store.read("pay_1").head.version == 2


def test_a_receipt_is_written_with_its_effect_and_once(store: Store) -> None:
    first = receipt("key-1", "pay_1")
    assert isinstance(store.append(batch(initiated(), receipt=first)), Appended)
    again = store.append(batch(initiated(), stream="pay_2", receipt=receipt("key-1", "pay_2")))
    assert again == AlreadyReceived(first)
    assert store.read("pay_2") == History()


def test_a_receipt_is_not_written_without_its_effect(store: Store) -> None:
    store.append(batch(initiated()))
    refused = batch(initiated(), receipt=receipt("key-1", "pay_1"))
    assert store.append(refused) == StreamMoved()
    fresh = batch(initiated(), stream="pay_2", receipt=receipt("key-1", "pay_2"))
    assert isinstance(store.append(fresh), Appended)


def test_tenants_may_use_the_same_key(store: Store) -> None:
    accepted_payment(store, key="key-1")
    other = Receipt(
        tenant_id="tn_venice",
        key="key-1",
        route="POST /payments",
        object_id="pay_9",
        recorded_at=NOON,
        fingerprint={},
    )
    appended = store.append(
        batch(initiated(), stream="pay_9", tenant_id="tn_venice", receipt=other)
    )
    assert isinstance(appended, Appended)


def test_an_account_is_opened_with_its_wallet(store: Store) -> None:
    account_id = opened_account(store)
    profile = store.profile(TENANT, account_id)
    assert profile == Profile(
        tenant_id=TENANT,
        account_id=account_id,
        currency="EUR",
        kind=AccountKind.SELLER,
        opened_at=NOON,
    )
    assert profile is not None
    wallet = store.wallet(profile)
    assert (wallet.available_minor, wallet.held_minor, wallet.balance_minor) == (0, 0, 0)
    assert store.profile("tn_venice", account_id) is None


def test_every_event_is_chained_to_the_one_before(store: Store) -> None:
    store.append(batch(initiated(), ASSESSED))
    store.append(batch(Draft(event=PaymentVoided(amount=TEN)), after=store.read("pay_1").head))
    rows = store.rows("pay_1")
    verify(rows)
    assert [row.hash for row in rows] == [event.hash for event in store.read("pay_1").events]
    for broken in (rows[1:], (rows[0], rows[2]), (rows[1], rows[0], rows[2])):
        with pytest.raises(CorruptEventError, match="breaks at version"):
            verify(broken)


# What a fact takes from a wallet, it takes in its own write.


def refund_of(store: Store, minor: int, stream: str = "pay_1", **more: object) -> Batch:
    """A fact that takes money from the seller's wallet, guarded."""
    seller = more.pop("seller")
    payer = wallet(str(seller))
    amount = Money(minor, "EUR")
    entry = Entry(
        chart_version=1,
        postings=(Posting(debit=payer, credit=REFUNDS_IN_TRANSIT, amount=amount),),
        guarded={payer: minor},
    )
    fact = PaymentRefundRequested(
        refund_id="ref_1", amount=amount, fee_returned=Money(0, "EUR"), reason=None
    )
    return batch(
        Draft(event=fact, entry=entry), after=store.read(stream).head, stream=stream, **more
    )


def paid_in(store: Store, minor: int) -> str:
    """A seller with money in the wallet."""
    seller = opened_account(store)
    account = wallet(seller)
    key = AccountKey(tenant_id=TENANT, account=account, currency="EUR")
    leg = Leg(account=account, side=Side.CREDIT, amount=Money(minor, "EUR"))
    store.post(key, [Line(entry_id="pay_0:6", leg=leg, recorded_at=NOON)])
    return seller


def available(store: Store, seller: str) -> int:
    profile = store.profile(TENANT, seller)
    assert profile is not None
    return store.wallet(profile).available_minor


def test_a_guard_gives_what_is_there_and_no_more(store: Store) -> None:
    seller = paid_in(store, 100)
    store.append(batch(initiated()))
    assert isinstance(store.append(refund_of(store, 60, seller=seller)), Appended)
    before = store.read("pay_1")
    refused = store.append(refund_of(store, 41, seller=seller, receipt=receipt("key-2", "ref_2")))
    assert refused == InsufficientFunds(wallet(seller))
    assert store.read("pay_1") == before
    assert store.receipt(TENANT, "key-2") is None
    assert available(store, seller) == 40
    assert isinstance(store.append(refund_of(store, 40, seller=seller)), Appended)
    assert available(store, seller) == 0


def test_a_stale_writer_takes_nothing(store: Store) -> None:
    seller = paid_in(store, 100)
    store.append(batch(initiated()))
    stale = refund_of(store, 60, seller=seller)
    store.append(batch(ASSESSED, after=store.read("pay_1").head))
    assert store.append(stale) == StreamMoved()
    assert available(store, seller) == 100


def test_what_the_guard_gave_is_not_taken_again_by_the_line(store: Store) -> None:
    seller = paid_in(store, 100)
    store.append(batch(initiated()))
    store.append(refund_of(store, 60, seller=seller))
    payer = wallet(seller)
    line = Line(
        entry_id="pay_1:2",
        leg=Leg(account=payer, side=Side.DEBIT, amount=Money(60, "EUR")),
        recorded_at=NOON,
        guarded_minor=60,
    )
    store.post(AccountKey(tenant_id=TENANT, account=payer, currency="EUR"), [line])
    profile = store.profile(TENANT, seller)
    assert profile is not None
    shown = store.wallet(profile)
    assert (shown.available_minor, shown.held_minor, shown.balance_minor) == (40, 0, 40)


@pytest.mark.usefixtures("atomic")
def test_of_many_who_take_the_same_money_one_gets_it(store: Store) -> None:
    seller = paid_in(store, 100)
    streams = [f"pay_{number}" for number in range(8)]
    for stream in streams:
        store.append(batch(initiated(), stream=stream))
    wanted = [refund_of(store, 60, stream, seller=seller) for stream in streams]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(store.append, wanted))
    assert sum(isinstance(answer, Appended) for answer in answers) == 1
    assert sum(isinstance(answer, InsufficientFunds) for answer in answers) == 7
    assert available(store, seller) == 40


# A refusal can be bound to a key too.


def test_a_key_is_bound_once(store: Store) -> None:
    refusal = replace(receipt("key-1", "pay_1"), refusal=Refusal.PAYMENT_CAPTURED)
    assert store.receipt(TENANT, "key-1") is None
    assert store.bind(refusal) == refusal
    assert store.receipt(TENANT, "key-1") == refusal
    other = replace(receipt("key-1", "pay_2"), refusal=Refusal.PAYMENT_FAILED)
    assert store.bind(other) == refusal
    effect = batch(initiated(), receipt=receipt("key-1", "pay_1"))
    assert store.append(effect) == AlreadyReceived(refusal)


def test_an_effect_keeps_its_key_from_a_refusal(store: Store) -> None:
    first = replace(receipt("key-1", "pay_1"), version=7)
    store.append(batch(initiated(), receipt=first))
    refusal = replace(receipt("key-1", "pay_1"), refusal=Refusal.PAYMENT_CAPTURED)
    assert store.bind(refusal) == first
