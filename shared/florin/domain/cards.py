"""Card data has no place in the engine: how it is recognised, so that it can be refused.

A card number is 13 to 19 digits, in one piece or in groups between spaces, dashes or dots, with
the prefix of an issuer's network and a right check digit (Luhn). Numbers that lack any of it,
such as most order numbers, are left alone. So are UUIDs and hexadecimal digests: chance makes
one in a thousand of them look as if it held a number, and they are what idempotency keys are.
"""

import re
from collections.abc import Iterator
from typing import Final

_RANDOM: Final = re.compile(
    r"(?<![0-9A-Za-z])(?=[0-9-]*[a-f])"
    r"(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64})"
    r"(?![0-9A-Za-z])",
    re.IGNORECASE,
)
_GROUPED: Final = re.compile(r"(?<![0-9])[0-9]+(?:[ .-][0-9]+)*(?![0-9])")
_PREFIX: Final = re.compile(
    r"4"  # Visa
    r"|5[0-9]|6[0-9]"  # Mastercard, Maestro, Discover, UnionPay
    r"|2(?:22[1-9]|2[3-9][0-9]|[3-6][0-9]{2}|7[01][0-9]|720)"  # Mastercard
    r"|3[4-9]|30[0-5]"  # American Express, Diners Club, JCB
)
_SECURITY_CODE: Final = re.compile(
    r"(?:card[_ -]?)?(?:cvc2?|cvv2?|cid|csc|security[_ -]?code|card[_ -]?number|pan)", re.IGNORECASE
)
_LENGTHS: Final = range(13, 20)


def holds_card_number(text: str) -> bool:
    """Whether a card number stands anywhere in a text."""
    runs = _GROUPED.findall(_RANDOM.sub("x", text))
    return any(_is_card(digits) for run in runs for digits in _pieces(run))


def names_card_data(name: str) -> bool:
    """Whether a field of this name is meant for a card number or security code."""
    return _SECURITY_CODE.fullmatch(name) is not None


def _pieces(run: str) -> Iterator[str]:
    """Every sequence of whole groups in a run of digits, without what is between them."""
    groups = re.split(r"[ .-]", run)
    for first in range(len(groups)):
        digits = ""
        for group in groups[first : first + _LENGTHS.stop]:
            digits += group
            if len(digits) >= _LENGTHS.stop:
                break
            yield digits


def _is_card(digits: str) -> bool:
    return len(digits) in _LENGTHS and _PREFIX.match(digits) is not None and _luhn(digits)


def _luhn(digits: str) -> bool:
    doubled = [2 * int(digit) for digit in digits[-2::-2]]
    total = sum(map(int, digits[-1::-2])) + sum(number - 9 * (number > 9) for number in doubled)
    return total % 10 == 0
