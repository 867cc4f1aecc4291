"""Card data has no place in the engine: how it is recognised, so that it can be refused.

A card number is 13 to 19 digits, in one piece or in groups between spaces, dashes or dots, with
the prefix of an issuer's network and a right check digit (Luhn). Numbers that lack any of it,
such as most order numbers, are left alone. Digits, spaces and dashes count in every script and
form that Unicode has for them: a full-width card number is one.

Left alone is also what is random by its form: UUIDs, hexadecimal digests and ids, and what tracing
headers hold. Chance makes one in a thousand of them look as if it held a number, and they are what
idempotency keys are. It has to be the whole form: digits among some letters from a to f are still
digits, so a hexadecimal key of an odd length has to take its chance.
"""

import re
from collections.abc import Iterator
from typing import Final

_RANDOM: Final = re.compile(
    r"(?<![0-9A-Za-z])(?:0x)?(?=[0-9-]*[a-f])"
    r"(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"  # UUID
    r"|(?:[0-9a-f]{2}-)?[0-9a-f]{32}-[0-9a-f]{16}(?:-[0-9a-f]{1,2})?"  # W3C, B3 and Sentry traces
    r"|[0-9a-f]{24}|[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{48}|[0-9a-f]{56}|[0-9a-f]{64}"
    r"|[0-9a-f]{96}|[0-9a-f]{128})"
    r"(?![0-9A-Za-z])",
    re.IGNORECASE,
)
_ENOUGH: Final = re.compile(r"[0-9](?:[\s.-]{0,3}[0-9]){12}")
"""Thirteen digits: where they are not, nothing has to be looked at closely."""
_GROUPED: Final = re.compile(r"[0-9]+(?:[\s.-]{1,3}[0-9]+)*")
_BETWEEN: Final = re.compile(r"[\s.-]+")
_DASHES: Final = frozenset("\u00ad\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe63\uff0d")
_UNSEEN: Final = frozenset("\u200b\u200c\u200d\u2060\ufeff")
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

REDACTED: Final = "[card number]"


def holds_card_number(text: str) -> bool:
    """Whether a card number stands anywhere in a text."""
    return next(_found(text), None) is not None


def redacted(text: str) -> str:
    """The text with a remark in the place of every card number, and of the digits beside it."""
    kept, end = [], 0
    for start, stop in _found(text):
        kept += [text[end:start], REDACTED]
        end = stop
    return "".join([*kept, text[end:]])


def names_card_data(name: str) -> bool:
    """Whether a field of this name is meant for a card number or security code."""
    return _SECURITY_CODE.fullmatch(name) is not None


def _found(text: str) -> Iterator[tuple[int, int]]:
    """Where the runs of digits begin and end that hold a card number."""
    plain = text if text.isascii() else "".join(map(_plain, text))
    if _ENOUGH.search(plain) is None:
        return
    for run in _GROUPED.finditer(_RANDOM.sub(lambda random: "x" * len(random[0]), plain)):
        if any(_is_card(digits) for digits in _pieces(run[0])):
            yield run.span()


def _plain(character: str) -> str:
    """The character of ASCII that it stands for, where that matters here."""
    if character.isdecimal():
        return str(int(character))
    if character in _DASHES:
        return "-"
    return " " if character.isspace() or character in _UNSEEN else character


def _pieces(run: str) -> Iterator[str]:
    """Every sequence of whole groups in a run of digits, without what is between them."""
    groups = _BETWEEN.split(run)
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
