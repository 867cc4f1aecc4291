"""What the platform keeps of a payment, and what of it goes back with a refund."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

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
