"""Funding: what is drawn from wallets is exactly the amount, and comes back to those who gave."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from florin.domain.funding import Draw, Source, drawn, returned_last_first, stretch
from florin.domain.money import Money
from tests.support.examples import NOON

accounts = st.sampled_from([f"acct_{letter}" for letter in "abcde"])
minor = st.integers(1, 100)
fundings = st.lists(
    st.builds(Draw, account_id=accounts, amount=st.builds(Money, minor, st.just("EUR"))),
    min_size=1,
    unique_by=lambda draw: draw.account_id,
).map(tuple)
sources = st.lists(
    st.builds(
        Source,
        account_id=accounts,
        spendable_minor=st.integers(-50, 100),
        priority=st.integers(-1, 1),
        expires_at=st.sampled_from([None, NOON, NOON + timedelta(seconds=1)]),
    ),
    unique_by=lambda source: source.account_id,
)


def total(draws: tuple[Draw, ...]) -> int:
    return sum(draw.amount.minor for draw in draws)


@given(minor, sources)
def test_what_is_drawn_is_the_amount_or_it_is_not_there(wanted: int, given_: list[Source]) -> None:
    usable = [one for one in given_ if not one.expired(NOON) and one.spendable_minor > 0]
    draws = drawn(Money(wanted, "EUR"), given_, NOON)
    if draws is None:
        assert sum(one.spendable_minor for one in usable) < wanted
        return
    assert total(draws) == wanted
    by_id = {one.account_id: one for one in usable}
    assert all(draw.amount.minor <= by_id[draw.account_id].spendable_minor for draw in draws)
    order = [(by_id[draw.account_id].priority) for draw in draws]
    assert order == sorted(order)
    emptied, last = draws[:-1], by_id[draws[-1].account_id]
    assert all(draw.amount.minor == by_id[draw.account_id].spendable_minor for draw in emptied)
    untouched = by_id.keys() - {draw.account_id for draw in draws}
    assert all(by_id[one].priority >= last.priority for one in untouched)


def test_what_expires_first_is_drawn_on_first() -> None:
    soon = Source(account_id="z", spendable_minor=5, expires_at=NOON + timedelta(days=2))
    later = Source(account_id="a", spendable_minor=5, expires_at=NOON + timedelta(days=10))
    never = Source(account_id="b", spendable_minor=5)
    draws = drawn(Money(11, "EUR"), [never, later, soon], NOON)
    assert draws is not None
    assert [(draw.account_id, draw.amount.minor) for draw in draws] == [
        ("z", 5),
        ("a", 5),
        ("b", 1),
    ]


@given(fundings, st.data())
def test_pieces_of_a_stretch_make_the_whole(funding: tuple[Draw, ...], data: st.DataObject) -> None:
    whole = total(funding)
    cut = data.draw(st.integers(0, whole))
    front = stretch(funding, Money(0, "EUR"), Money(cut, "EUR"))
    back = stretch(funding, Money(cut, "EUR"), Money(whole, "EUR"))
    assert (total(front), total(back)) == (cut, whole - cut)
    for draw in funding:
        pieces = [one.amount.minor for one in front + back if one.account_id == draw.account_id]
        assert sum(pieces) == draw.amount.minor


@given(fundings, st.data())
def test_everybody_gets_back_what_was_used_and_no_more(
    funding: tuple[Draw, ...], data: st.DataObject
) -> None:
    """Captures and refunds in any order."""
    whole, used, back = total(funding), 0, 0
    returned: dict[str, int] = {}
    for _ in range(data.draw(st.integers(1, 6))):
        used += data.draw(st.integers(0, whole - used))
        amount = data.draw(st.integers(0, used - back))
        draws = returned_last_first(funding, Money(used, "EUR"), returned, Money(amount, "EUR"))
        assert total(draws) == amount
        back += amount
        for draw in draws:
            returned[draw.account_id] = returned.get(draw.account_id, 0) + draw.amount.minor
        spent = stretch(funding, Money(0, "EUR"), Money(used, "EUR"))
        of = {draw.account_id: draw.amount.minor for draw in spent}
        assert all(returned[one] <= of[one] for one in returned)
        with pytest.raises(ValueError, match="more than what is left"):
            returned_last_first(
                funding, Money(used, "EUR"), returned, Money(used - back + 1, "EUR")
            )
