"""What every keeper of the books promises: each fact counts once, however often it comes."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from florin.domain.chart import PLATFORM_FEES, wallet
from florin.domain.ledger import Leg, Side
from florin.domain.money import Money
from florin.ports import AccountKey, Advance, Line, StatementLine, View
from tests.contracts.conftest import Store
from tests.support.examples import NOON, TENANT, opened_account

FEES = AccountKey(tenant_id=TENANT, account=PLATFORM_FEES, currency="EUR")


def wallet_of(account_id: str) -> AccountKey:
    return AccountKey(tenant_id=TENANT, account=wallet(account_id), currency="EUR")


def line(key: AccountKey, entry_id: str, minor: int, side: Side = Side.CREDIT) -> Line:
    leg = Leg(account=key.account, side=side, amount=Money(minor, "EUR"))
    return Line(entry_id=entry_id, leg=leg, recorded_at=NOON)


def advance(stream: str, to: int, start: int = 0, fee_minor: int = 0) -> Advance:
    view = View(
        stream=stream,
        tenant_id=TENANT,
        kind="payment",
        status="processing",
        version=to,
        created_at=NOON,
        updated_at=NOON,
    )
    fee = Leg(account=PLATFORM_FEES, side=Side.CREDIT, amount=Money(fee_minor or 1, "EUR"))
    return Advance(view=view, from_version=start, totals=((FEES, fee),) if fee_minor else ())


def oldest_first(store: Store, key: AccountKey) -> Sequence[StatementLine]:
    return store.statement(key, limit=1_000)[::-1]


def test_lines_are_numbered_without_a_gap_and_carry_the_balance(store: Store) -> None:
    key = wallet_of(opened_account(store))
    store.post(key, [line(key, "pay_1:6", 970), line(key, "pay_2:6", 485)])
    store.post(key, [line(key, "pay_3:6", 55, Side.DEBIT)])
    statement = oldest_first(store, key)
    assert [entry.number for entry in statement] == [1, 2, 3]
    assert [entry.balance_after_minor for entry in statement] == [970, 1455, 1400]
    assert [entry.line for entry in statement][2] == line(key, "pay_3:6", 55, Side.DEBIT)


def test_posting_moves_balance_and_guard(store: Store) -> None:
    account_id = opened_account(store)
    key = wallet_of(account_id)
    store.post(key, [line(key, "pay_1:6", 970)])
    profile = store.profile(TENANT, account_id)
    assert profile is not None
    shown = store.wallet(profile)
    assert (shown.available_minor, shown.held_minor, shown.balance_minor) == (970, 0, 970)


def test_a_line_that_is_there_changes_nothing(store: Store) -> None:
    key = wallet_of(opened_account(store))
    store.post(key, [line(key, "pay_1:6", 970)])
    store.post(key, [line(key, "pay_1:6", 970), line(key, "pay_2:6", 30)])
    store.post(key, [line(key, "pay_1:6", 970)])
    assert [entry.balance_after_minor for entry in oldest_first(store, key)] == [970, 1000]


def test_more_lines_than_one_transaction_takes(store: Store) -> None:
    key = wallet_of(opened_account(store))
    store.post(key, [line(key, f"pay_{number:03}:6", 1) for number in range(205)])
    assert [entry.number for entry in oldest_first(store, key)] == list(range(1, 206))
    assert store.statement(key, limit=1_000)[0].balance_after_minor == 205


@pytest.mark.usefixtures("atomic")
def test_many_projectors_at_one_wallet_lose_nothing(store: Store) -> None:
    key = wallet_of(opened_account(store))

    def post(worker: int) -> None:
        # Neighbours share half of their lines, as redelivered batches do.
        store.post(key, [line(key, f"pay_{worker + offset}:6", 10) for offset in range(4)])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(post, range(0, 8, 2)))
    statement = oldest_first(store, key)
    assert len(statement) == 10
    assert [entry.number for entry in statement] == list(range(1, 11))
    assert statement[-1].balance_after_minor == 100


def test_a_wallet_that_was_never_opened_is_an_error(store: Store) -> None:
    key = wallet_of("acct_nobody")
    with pytest.raises(LookupError):
        store.post(key, [line(key, "pay_1:6", 1)])


def test_a_view_moves_with_what_its_facts_add(store: Store) -> None:
    assert store.view("pay_1") is None
    assert store.advance([advance("pay_1", 6, fee_minor=30), advance("pay_2", 6, fee_minor=15)])
    assert store.advance([advance("pay_3", 2)])
    assert store.total(FEES) == (0, 45)
    view = store.view("pay_1")
    assert view == advance("pay_1", 6).view
    assert store.view("pay_3") == advance("pay_3", 2).view


def test_a_view_that_moved_meanwhile_adds_nothing(store: Store) -> None:
    store.advance([advance("pay_1", 6, fee_minor=30)])
    assert not store.advance([advance("pay_1", 6, fee_minor=30)])
    assert not store.advance([advance("pay_1", 7, start=5, fee_minor=30)])
    assert not store.advance([advance("pay_1", 7, start=5)])
    assert not store.advance([advance("pay_2", 3, fee_minor=5), advance("pay_1", 6, fee_minor=30)])
    assert store.total(FEES) == (0, 30)
    assert store.view("pay_2") is None
    later = advance("pay_1", 7, start=6, fee_minor=1)
    assert store.advance([replace(later, view=replace(later.view, status="succeeded"))])
    assert store.total(FEES) == (0, 31)


def test_totals_of_an_account_nobody_used_are_zero(store: Store) -> None:
    assert store.total(FEES) == (0, 0)


def test_a_statement_is_read_page_by_page_newest_first(store: Store) -> None:
    key = wallet_of(opened_account(store))
    store.post(key, [line(key, f"pay_{number}:6", number) for number in range(1, 8)])
    first = store.statement(key, limit=3)
    assert [entry.number for entry in first] == [7, 6, 5]
    last = store.line_number(key, first[-1].line.entry_id)
    assert last == 5
    assert [entry.number for entry in store.statement(key, limit=3, before=last)] == [4, 3, 2]
    assert [entry.number for entry in store.statement(key, limit=3, before=2)] == [1]
    assert store.statement(key, limit=3, before=1) == ()
    assert store.line_number(key, "pay_9:6") is None
