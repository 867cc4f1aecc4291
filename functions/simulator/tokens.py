"""What the simulator does with each means of payment: one readable table."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Decline:
    """Why the answer is no. A `hard` one stays so; a `soft` one may be over tomorrow."""

    code: str
    hardness: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A card, and the operations that are declined for it. Everything else is approved."""

    last4: str
    brand: str = "visa"
    authorization: Decline | None = None
    capture: Decline | None = None
    refund: Decline | None = None


def _hard(code: str, message: str) -> Decline:
    return Decline(code=code, hardness="hard", message=message)


def _soft(code: str, message: str) -> Decline:
    return Decline(code=code, hardness="soft", message=message)


TOKENS: Final[Mapping[str, Token]] = {
    "tok_visa": Token(last4="4242"),
    "card_token_abc123": Token(last4="1234"),
    "tok_insufficient_funds": Token(
        last4="9995",
        authorization=_soft("insufficient_funds", "The card does not have the money."),
    ),
    "tok_declined": Token(
        last4="0002",
        authorization=_soft("card_declined", "The bank declined, and did not say why."),
    ),
    "tok_expired_card": Token(
        last4="0069",
        authorization=_hard("expired_card", "The card has expired."),
    ),
    "tok_fraudulent": Token(
        last4="0019",
        authorization=_hard("fraudulent", "The card was reported stolen."),
    ),
    "tok_capture_fails": Token(
        last4="0341",
        capture=_hard("capture_failed", "The bank no longer honours the authorization."),
    ),
    "tok_refund_declined": Token(
        last4="5126",
        refund=_hard("refund_declined", "The card's account was closed."),
    ),
}

UNHEARD_OF: Final = Token(
    last4="",
    brand="",
    authorization=_hard("invalid_payment_method", "There is no such means of payment."),
)


def token(payment_method: str) -> Token:
    return TOKENS.get(payment_method, UNHEARD_OF)
