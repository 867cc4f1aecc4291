"""What the platform keeps of a payment, and what of it goes back with a refund."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Final

from florin.domain.currencies import EXPONENTS
from florin.domain.money import Money, Rounding

BASIS_POINT: Final = Decimal("0.0001")


class FeeOnRefund(StrEnum):
    """Whether a refund gives the fee back: its share of it, or nothing."""

    PROPORTIONAL = "proportional"
    KEEP = "keep"


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeTerms:
    """A percentage in basis points plus a fixed part in minor units of the payment's currency.

    Frozen into the payment when it is accepted, so that a later change of the tenant's schedule
    cannot change what was agreed.
    """

    basis_points: int
    fixed_minor: int
    on_refund: FeeOnRefund = FeeOnRefund.PROPORTIONAL

    def __post_init__(self) -> None:
        if not 0 <= self.basis_points <= 10_000:
            raise ValueError(f"a fee is 0 to 10000 basis points: {self.basis_points}")
        if self.fixed_minor < 0:
            raise ValueError(f"a fee is not negative: {self.fixed_minor}")

    def fee_on(self, captured: Money) -> Money:
        """The fee on all that was captured of a payment, never more than that itself."""
        share = captured.times(self.basis_points * BASIS_POINT, Rounding.HALF_UP)
        return (share + Money(self.fixed_minor, captured.currency)).at_most(captured)

    def fee_on_next(self, captured: Money, amount: Money) -> Money:
        """The fee on one more capture: what the whole costs less what was taken already.

        So the fixed part is taken once, and many captures cost what one would have cost.
        """
        return self.fee_on(captured + amount) - self.fee_on(captured)

    def returned_on(
        self, *, fee: Money, captured: Money, refunded: Money, returned: Money, amount: Money
    ) -> Money:
        """The part of the fee that goes back when `amount` more is refunded.

        Allocated cumulatively, so that many refunds give back what one would have: after them all
        `round(fee * refunded / captured)` is back, the whole fee with the whole amount.
        """
        if self.on_refund is FeeOnRefund.KEEP or captured.is_zero:
            return Money(0, fee.currency)
        share = Decimal((refunded + amount).minor) / Decimal(captured.minor)
        due = fee.times(share, Rounding.HALF_UP)
        if due <= returned:
            return Money(0, fee.currency)
        return (due - returned).at_most(amount)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeSchedule:
    """What a tenant agreed on: a percentage and a fixed part, each currency for itself.

    `basis_points` is the percentage of every currency that `basis_points_in` does not name;
    a currency that `fixed_minor` does not name has no fixed part.
    """

    basis_points: int
    basis_points_in: Mapping[str, int] = field(default_factory=dict)
    fixed_minor: Mapping[str, int] = field(default_factory=dict)
    on_refund: FeeOnRefund = FeeOnRefund.PROPORTIONAL

    def __post_init__(self) -> None:
        for currency in (*self.basis_points_in, *self.fixed_minor):
            if currency not in EXPONENTS:
                raise ValueError(f"a fee is in a currency that is not known: {currency}")
            self.terms(currency)  # raises for what cannot be a fee
        FeeTerms(basis_points=self.basis_points, fixed_minor=0)

    def terms(self, currency: str) -> FeeTerms:
        """The terms of a payment in this currency."""
        return FeeTerms(
            basis_points=self.basis_points_in.get(currency, self.basis_points),
            fixed_minor=self.fixed_minor.get(currency, 0),
            on_refund=self.on_refund,
        )
