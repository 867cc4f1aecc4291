"""Money: a whole number of minor units in one currency."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from enum import Enum
from typing import Final

AMOUNT_MINOR_MAX: Final = 999_999_999_999
"""The largest amount of one command. Sums stay far below DynamoDB's 38 digits."""


class Rounding(Enum):
    """How a fraction of a minor unit is decided. There is no default: the caller names it."""

    HALF_UP = ROUND_HALF_UP
    HALF_EVEN = ROUND_HALF_EVEN


@dataclass(frozen=True, slots=True)
class Money:
    """`Money(1_050, "EUR")` is ten euros fifty; fractions of a cent do not exist here.

    Raises:
        TypeError: the amount is no integer, or two currencies meet in one operation.
        ValueError: the amount is negative.
    """

    minor: int
    currency: str

    def __post_init__(self) -> None:
        if type(self.minor) is not int:
            raise TypeError(f"minor units are whole: {self.minor!r}")
        if self.minor < 0:
            raise ValueError(f"direction belongs to the posting, not to the amount: {self.minor}")

    def __add__(self, other: "Money") -> "Money":
        return Money(self.minor + self._minor_of(other), self.currency)

    def __sub__(self, other: "Money") -> "Money":
        return Money(self.minor - self._minor_of(other), self.currency)

    def __lt__(self, other: "Money") -> bool:
        return self.minor < self._minor_of(other)

    def __le__(self, other: "Money") -> bool:
        return self.minor <= self._minor_of(other)

    def __bool__(self) -> bool:
        raise TypeError("say what you mean: `amount.is_zero`")

    @property
    def is_zero(self) -> bool:
        return self.minor == 0

    def times(self, rate: Decimal, rounding: Rounding) -> "Money":
        """The amount multiplied by a rate; the rounding decides less than one minor unit."""
        product = (self.minor * rate).quantize(Decimal(1), rounding=rounding.value)
        return Money(int(product), self.currency)

    def at_most(self, limit: "Money") -> "Money":
        """The smaller of the two."""
        return min(self, limit)

    def _minor_of(self, other: "Money") -> int:
        if other.currency != self.currency:
            raise TypeError(f"{self.currency} and {other.currency} do not mix")
        return other.minor


def allocate(amount: Money, weights: Sequence[int]) -> tuple[Money, ...]:
    """The amount split in proportion to the weights, to the last minor unit.

    No share is larger than its weight as long as the amount is not larger than their sum.

    Raises:
        ValueError: there is nothing to weigh by.
    """
    whole, before, shares = sum(weights), 0, []
    if whole <= 0 or min(weights) < 0:
        raise ValueError(f"weights are not negative, and one is positive: {weights}")
    for weight in weights:
        after = before + weight
        minor = amount.minor * after // whole - amount.minor * before // whole
        shares.append(Money(minor, amount.currency))
        before = after
    return tuple(shares)
