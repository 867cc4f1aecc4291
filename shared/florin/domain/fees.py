"""What the platform keeps of a payment."""

from dataclasses import dataclass
from decimal import Decimal

from florin.domain.money import Money, Rounding

BASIS_POINT = Decimal("0.0001")


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeTerms:
    """A percentage in basis points plus a fixed part in minor units of the payment's currency.

    Frozen into the payment when it is accepted, so that a later change of the tenant's schedule
    cannot change what was agreed.
    """

    basis_points: int
    fixed_minor: int

    def __post_init__(self) -> None:
        if not 0 <= self.basis_points <= 10_000:
            raise ValueError(f"a fee is 0 to 10000 basis points: {self.basis_points}")
        if self.fixed_minor < 0:
            raise ValueError(f"a fee is not negative: {self.fixed_minor}")

    def fee_on(self, captured: Money) -> Money:
        """The fee on an amount captured, never more than the amount itself."""
        share = captured.times(self.basis_points * BASIS_POINT, Rounding.HALF_UP)
        return (share + Money(self.fixed_minor, captured.currency)).at_most(captured)
