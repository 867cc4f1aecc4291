"""What every store promises of wallets: what is put aside, how low they go, how they close."""

from dataclasses import replace
from datetime import timedelta

import pytest

from florin.domain.account import (
    AccountClosing,
    AccountKind,
    AccountMinBalanceChanged,
    OpenAccount,
)
from florin.domain.chart import held, wallet
from florin.domain.history import Draft
from florin.domain.hold import HoldPlaced, Part
from florin.domain.ledger import Entry, Leg, Posting, Side
from florin.domain.money import Money
from florin.ports import (
    Amendment,
    Appended,
    AppendResult,
    Batch,
    InsufficientFunds,
    Line,
    NotEmpty,
    Profile,
    Reserved,
    Wallet,
    wallet_key,
)
from tests.contracts.conftest import Store
from tests.support.examples import NOON, TENANT, desk, once, opened_account


def profile_of(store: Store, account_id: str) -> Profile:
    profile = store.profile(TENANT, account_id)
    assert profile is not None
    return profile


def opened(store: Store, key: str = "account-1") -> Profile:
    return profile_of(store, opened_account(store, key))


def credited(profile: Profile, entry_id: str, minor: int) -> Line:
    leg = Leg(account=wallet(profile.account_id), side=Side.CREDIT, amount=Money(minor, "EUR"))
    return Line(entry_id=entry_id, leg=leg, recorded_at=NOON)


def figures(shown: Wallet) -> tuple[int, int, int]:
    return shown.available_minor, shown.held_minor, shown.balance_minor


def reserve(store: Store, profile: Profile, stream: str, minor: int) -> AppendResult:
    """Begin a hold with an entry that puts money of the wallet aside."""
    own, aside = wallet(profile.account_id), held(profile.account_id)
    amount = Money(minor, "EUR")
    entry = Entry(
        chart_version=1,
        postings=(Posting(debit=own, credit=aside, amount=amount),),
        guarded={own: minor},
    )
    event = HoldPlaced(
        tenant_id=TENANT,
        account_id=profile.account_id,
        parts=(Part(recipient="acct_wool", amount=amount),),
    )
    batch = Batch(
        stream=stream,
        tenant_id=TENANT,
        after=store.read(stream).head,
        drafts=(Draft(event=event, entry=entry),),
        at=NOON,
    )
    return store.append(batch)


def amended(store: Store, amends: Amendment, event: object) -> AppendResult:
    account_id = amends.profile.account_id
    batch = Batch(
        stream=account_id,
        tenant_id=TENANT,
        after=store.read(account_id).head,
        drafts=(Draft(event=event),),  # type: ignore[arg-type]  # one of an account's
        at=NOON,
        amends=amends,
    )
    return store.append(batch)


def limit(store: Store, profile: Profile, minor: int) -> AppendResult:
    now = profile_of(store, profile.account_id)
    amends = Amendment(
        profile=replace(now, min_balance_minor=minor),
        spendable_minor=now.min_balance_minor - minor,
    )
    changed = AccountMinBalanceChanged(min_balance_minor=minor, was_minor=now.min_balance_minor)
    return amended(store, amends, changed)


def close(store: Store, profile: Profile) -> AppendResult:
    closes_at = NOON + timedelta(seconds=60)
    now = profile_of(store, profile.account_id)
    amends = Amendment(
        profile=replace(now, closes_at=closes_at, min_balance_minor=0),
        spendable_minor=now.min_balance_minor,
        empty=True,
    )
    return amended(store, amends, AccountClosing(closes_at=closes_at))


def test_what_is_put_aside_counts_as_held_at_once_and_later(store: Store) -> None:
    profile = opened(store)
    key = wallet_key(profile)
    store.post(key, [credited(profile, "pay_1:6", 100)])
    assert isinstance(reserve(store, profile, "hold_1", 30), Appended)
    assert figures(store.wallet(profile)) == (70, 30, 100), "the books have not heard of it"
    leg = Leg(account=key.account, side=Side.DEBIT, amount=Money(30, "EUR"))
    line = Line(entry_id="hold_1:1", leg=leg, recorded_at=NOON, guarded_minor=30)
    store.post(key, [line], [Reserved(stream="hold_1", version=1, amount_minor=30)])
    assert figures(store.wallet(profile)) == (70, 30, 100)
    assert store.statement(key, limit=1)[0].balance_after_minor == 70


def test_only_what_is_newer_changes_what_is_put_aside(store: Store) -> None:
    profile = opened(store)
    key = wallet_key(profile)
    first = Reserved(stream="hold_1", version=1, amount_minor=30, expires_at=NOON)
    later = Reserved(stream="hold_1", version=4, amount_minor=10, expires_at=NOON)
    other = Reserved(stream="hold_2", version=1, amount_minor=5)
    for known in (first, first, later, first, later, other):
        store.post(key, [], [known])
    assert store.wallet(profile).balance_minor == 15
    assert store.reserved(profile) == (later, other)
    gone = replace(later, version=5, amount_minor=0)
    store.post(key, [], [gone])
    store.post(key, [], [later])
    assert store.reserved(profile) == (other,), "what is gone stays gone"
    assert store.wallet(profile).balance_minor == 5


def test_more_holds_than_one_transaction_takes(store: Store) -> None:
    profile = opened(store)
    holds = [
        Reserved(stream=f"hold_{number:03}", version=1, amount_minor=1) for number in range(105)
    ]
    store.post(wallet_key(profile), [credited(profile, "pay_1:6", 7)], holds)
    assert store.reserved(profile) == tuple(holds)
    assert store.wallet(profile).balance_minor == 112


def test_a_wallet_goes_as_low_as_it_may(store: Store) -> None:
    profile = opened(store)
    assert isinstance(limit(store, profile, -50), Appended)
    assert figures(store.wallet(profile)) == (0, 0, 0)
    assert reserve(store, profile, "hold_1", 51) == InsufficientFunds(wallet(profile.account_id))
    assert isinstance(reserve(store, profile, "hold_1", 50), Appended)
    shown = store.wallet(profile)
    assert (shown.available_minor, shown.min_balance_minor) == (-50, -50)


def test_what_is_to_be_kept_must_be_there(store: Store) -> None:
    profile = opened(store)
    store.post(wallet_key(profile), [credited(profile, "pay_1:6", 100)])
    head = store.read(profile.account_id).head
    assert limit(store, profile, 101) == InsufficientFunds(wallet(profile.account_id))
    assert store.read(profile.account_id).head == head
    assert profile_of(store, profile.account_id).min_balance_minor == 0
    assert isinstance(limit(store, profile, 100), Appended)
    assert isinstance(reserve(store, profile, "hold_1", 1), InsufficientFunds)
    assert isinstance(limit(store, profile, 99), Appended)
    assert isinstance(reserve(store, profile, "hold_1", 1), Appended)


def test_an_account_opens_with_its_limit(store: Store) -> None:
    command = OpenAccount(
        tenant_id=TENANT, currency="EUR", kind=AccountKind.CUSTOMER, min_balance_minor=-20
    )
    answer = desk(store).open_account(command, once("limited"))
    account_id = answer.receipt.object_id  # type: ignore[union-attr]  # it was accepted
    profile = profile_of(store, account_id)
    assert profile.min_balance_minor == -20
    assert isinstance(reserve(store, profile, "hold_1", 21), InsufficientFunds)
    assert isinstance(reserve(store, profile, "hold_1", 20), Appended)


@pytest.mark.parametrize("what", ["balance", "guard", "held"])
def test_only_an_empty_wallet_closes(store: Store, what: str) -> None:
    profile = opened(store)
    key = wallet_key(profile)
    if what == "balance":
        store.post(key, [credited(profile, "pay_1:6", 1)])
    elif what == "guard":
        limit(store, profile, -5)
        assert isinstance(reserve(store, profile, "hold_1", 1), Appended)
    else:
        store.post(key, [], [Reserved(stream="hold_1", version=1, amount_minor=1)])
    assert close(store, profile) == NotEmpty()
    assert profile_of(store, profile.account_id).closes_at is None
    other = opened(store, "account-2")
    limit(store, other, -5)
    assert isinstance(close(store, other), Appended)
    assert profile_of(store, other.account_id).closes_at == NOON + timedelta(seconds=60)
    assert isinstance(reserve(store, other, "hold_2", 1), InsufficientFunds), "its debt is over"


def test_balances_are_found_by_their_account(store: Store) -> None:
    main, stranger = opened(store), opened(store, "account-2")
    ids = []
    for number in range(3):
        command = OpenAccount(
            tenant_id=TENANT,
            currency="EUR",
            kind=AccountKind.CUSTOMER,
            parent=main.account_id,
            priority=number,
        )
        answer = desk(store).open_account(
            command, once(f"balance-{number}"), timedelta(days=1) if number else None
        )
        ids.append(answer.receipt.object_id)  # type: ignore[union-attr]  # it was accepted
    found = store.balances(main)
    assert {profile.account_id for profile in found} == {*ids}
    assert {(one.priority, one.parent, one.expires_at) for one in found} == {
        (number, main.account_id, NOON + timedelta(days=1) if number else None)
        for number in range(3)
    }
    assert store.balances(stranger) == ()
