"""ULIDs as numbers: 48 bits of milliseconds and 80 more, which sort like their texts."""

from datetime import UTC, datetime, timedelta
from typing import Final

DIGITS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
VALUES_END: Final = 32**26
"""No text of 26 digits has this value or a higher one."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PYTHONS: Final = str.maketrans(DIGITS, "0123456789abcdefghijklmnopqrstuv")


def text_of(value: int) -> str:
    """The 26 digits of a value."""
    return "".join(DIGITS[(value >> shift) & 31] for shift in range(125, -1, -5))


def value_of(text: str) -> int:
    return int(text.translate(_PYTHONS), 32)


def value_at(moment: datetime, more: int) -> int:
    """The value of this moment's millisecond with these 80 bits after it."""
    return ((moment - _EPOCH) // timedelta(milliseconds=1) << 80) | more


def first_since(moment: datetime) -> int:
    """The lowest value that was made at this moment or can be made later."""
    milliseconds = -((_EPOCH - moment) // timedelta(milliseconds=1))  # up to the next whole one
    return max(0, milliseconds) << 80
