"""What the simulator does with each means of payment: one readable table.

A token has a fate for each operation of its charge. The trouble that a provider and the way to it
can make is the same for every operation, so those tokens are a grid: `tok_slow`,
`tok_capture_slow`, `tok_void_slow`, `tok_refund_slow`, and so on for each trouble.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from http import HTTPStatus
from typing import Final


class Kind(StrEnum):
    """What can be asked."""

    AUTHORIZATION = "authorization"
    CAPTURE = "capture"
    VOID = "void"
    REFUND = "refund"


# Fates.


@dataclass(frozen=True, slots=True, kw_only=True)
class Decline:
    """The answer is no, and why. A `hard` one stays so; a `soft` one may be over tomorrow."""

    code: str
    hardness: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerLost:
    """It is done, the answer gets lost, and look-ups lag behind.

    Only the first answer to a key is lost: who repeats the request with its key hears it.
    """

    shown_after: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLost:
    """Nothing is done and nothing is answered. `times` per reference; None is always."""

    times: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnedAway:
    """Nothing is done, and the answer says so. `times` per reference; None is always."""

    status: HTTPStatus
    times: int | None = None
    retry_after_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Slow:
    """It is done after this while, which is shorter than the patience of a caller."""

    seconds: float


Fate = Decline | AnswerLost | RequestLost | TurnedAway | Slow


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A card, and what becomes of the operations that are not simply approved."""

    last4: str
    brand: str = "visa"
    fates: Mapping[Kind, Fate] = field(default_factory=dict)


def _hard(code: str, message: str) -> Decline:
    return Decline(code=code, hardness="hard", message=message)


def _soft(code: str, message: str) -> Decline:
    return Decline(code=code, hardness="soft", message=message)


# The table.

CARDS: Final[Mapping[str, Token]] = {
    "tok_visa": Token(last4="4242"),
    "card_token_abc123": Token(last4="1234"),
    "tok_insufficient_funds": Token(
        last4="9995",
        fates={
            Kind.AUTHORIZATION: _soft("insufficient_funds", "The card does not have the money.")
        },
    ),
    "tok_declined": Token(
        last4="0002",
        fates={
            Kind.AUTHORIZATION: _soft("card_declined", "The bank declined, and did not say why.")
        },
    ),
    "tok_expired_card": Token(
        last4="0069",
        fates={Kind.AUTHORIZATION: _hard("expired_card", "The card has expired.")},
    ),
    "tok_fraudulent": Token(
        last4="0019",
        fates={Kind.AUTHORIZATION: _hard("fraudulent", "The card was reported stolen.")},
    ),
    "tok_capture_fails": Token(
        last4="0341",
        fates={
            Kind.CAPTURE: _hard("capture_failed", "The bank no longer honours the authorization.")
        },
    ),
    "tok_refund_declined": Token(
        last4="5126",
        fates={Kind.REFUND: _hard("refund_declined", "The card's account was closed.")},
    ),
}

PREFIXES: Final[Mapping[Kind, str]] = {
    Kind.AUTHORIZATION: "tok",
    Kind.CAPTURE: "tok_capture",
    Kind.VOID: "tok_void",
    Kind.REFUND: "tok_refund",
}
assert PREFIXES.keys() == set(Kind), "every operation can get into trouble"

TROUBLES: Final[Mapping[str, Fate]] = {
    "timeout_then_success": AnswerLost(shown_after=timedelta(seconds=3)),
    "timeout_then_nothing": RequestLost(),
    "timeout_once": RequestLost(times=1),
    "unavailable": TurnedAway(status=HTTPStatus.SERVICE_UNAVAILABLE),
    "unavailable_twice": TurnedAway(status=HTTPStatus.SERVICE_UNAVAILABLE, times=2),
    "rate_limited": TurnedAway(status=HTTPStatus.TOO_MANY_REQUESTS, times=1, retry_after_s=1),
    "slow": Slow(seconds=3),
}

TOKENS: Final[Mapping[str, Token]] = {
    **CARDS,
    **{
        f"{prefix}_{name}": Token(last4=f"6{row}{column:02}", fates={kind: trouble})
        for row, (kind, prefix) in enumerate(PREFIXES.items())
        for column, (name, trouble) in enumerate(TROUBLES.items())
    },
}

UNHEARD_OF: Final = Token(
    last4="",
    brand="",
    fates={
        Kind.AUTHORIZATION: _hard("invalid_payment_method", "There is no such means of payment.")
    },
)


def token(payment_method: str) -> Token:
    return TOKENS.get(payment_method, UNHEARD_OF)
