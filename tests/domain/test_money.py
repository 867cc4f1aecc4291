"""Money refuses ambiguity, and never gains or loses a minor unit."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from florin.domain.fees import FeeTerms
from florin.domain.money import Money, Rounding

amounts = st.integers(min_value=0, max_value=10**12)


@pytest.mark.parametrize("minor", [1.0, "1", True, None, Decimal(1)])
def test_minor_units_are_whole_numbers(minor: object) -> None:
    with pytest.raises(TypeError):
        Money(minor, "EUR")  # type: ignore[arg-type]  # the very mistake


def test_an_amount_has_no_direction() -> None:
    with pytest.raises(ValueError, match="direction belongs to the posting"):
        Money(-1, "EUR")


def test_currencies_do_not_mix() -> None:
    for mix in (Money.__add__, Money.__sub__, Money.__le__):
        with pytest.raises(TypeError, match="EUR and USD do not mix"):
            mix(Money(1, "EUR"), Money(1, "USD"))


def test_money_has_no_truth_value() -> None:
    with pytest.raises(TypeError, match="is_zero"):
        bool(Money(0, "EUR"))


@given(amounts, amounts)
def test_what_is_added_can_be_taken_away(one: int, other: int) -> None:
    total = Money(one, "EUR") + Money(other, "EUR")
    assert total - Money(other, "EUR") == Money(one, "EUR")


@pytest.mark.parametrize(
    ("minor", "rate", "half_up", "half_even"),
    [(50, "0.03", 2, 2), (250, "0.01", 3, 2), (350, "0.01", 4, 4), (49, "0.01", 0, 0)],
)
def test_the_caller_names_the_rounding(minor: int, rate: str, half_up: int, half_even: int) -> None:
    money = Money(minor, "EUR")
    assert money.times(Decimal(rate), Rounding.HALF_UP).minor == half_up
    assert money.times(Decimal(rate), Rounding.HALF_EVEN).minor == half_even


@given(amounts, st.integers(0, 10_000), st.integers(0, 10_000))
def test_a_fee_is_never_more_than_the_amount(minor: int, basis_points: int, fixed: int) -> None:
    amount = Money(minor, "JPY")
    fee = FeeTerms(basis_points=basis_points, fixed_minor=fixed).fee_on(amount)
    exact = Decimal(minor) * basis_points / 10_000 + fixed
    assert fee <= amount
    assert abs(min(exact, Decimal(minor)) - fee.minor) <= Decimal("0.5")


@pytest.mark.parametrize(("basis_points", "fixed"), [(-1, 0), (10_001, 0), (0, -1)])
def test_fee_terms_refuse_nonsense(basis_points: int, fixed: int) -> None:
    with pytest.raises(ValueError, match="a fee is"):
        FeeTerms(basis_points=basis_points, fixed_minor=fixed)
