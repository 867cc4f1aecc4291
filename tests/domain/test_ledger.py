"""Entries balance because nothing else can be written down."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from florin.domain.ledger import Account, Entry, Posting, Side, balances
from florin.domain.money import Money

TILL, SILK, FEES = Account("provider:x:receivable"), Account("wallet:acct_silk"), Account("fees")


def posting(debit: Account, credit: Account, minor: int) -> Posting:
    return Posting(debit=debit, credit=credit, amount=Money(minor, "EUR"))


def test_a_posting_has_two_accounts_and_an_amount() -> None:
    with pytest.raises(ValueError, match="different"):
        posting(TILL, TILL, 1)
    with pytest.raises(ValueError, match="zero"):
        posting(TILL, SILK, 0)


def test_an_entry_moves_something() -> None:
    with pytest.raises(ValueError, match="moves something"):
        Entry(chart_version=1, postings=())


def test_legs_name_each_account_once_and_debits_first() -> None:
    entry = Entry(chart_version=1, postings=(posting(TILL, SILK, 97), posting(TILL, FEES, 3)))
    assert [(leg.account, leg.side, leg.amount.minor) for leg in entry.legs()] == [
        (TILL, Side.DEBIT, 100),
        (SILK, Side.CREDIT, 97),
        (FEES, Side.CREDIT, 3),
    ]


pairs = st.sampled_from([(a, b) for a in (TILL, SILK, FEES) for b in (TILL, SILK, FEES) if a != b])
postings = st.builds(
    lambda pair, minor: posting(pair[0], pair[1], minor), pairs, st.integers(1, 10**12)
)


@given(st.lists(st.lists(postings, min_size=1, max_size=6), max_size=6))
def test_whatever_is_posted_sums_to_zero(entries: list[list[Posting]]) -> None:
    made = [Entry(chart_version=1, postings=tuple(entry)) for entry in entries]
    assert sum(balances(made).values()) == 0
    for entry in made:
        assert sum(leg.credit_minor for leg in entry.legs()) == 0
