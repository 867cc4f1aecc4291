"""Every reason for which a request changes nothing, each with a sentence a customer could read."""

from enum import StrEnum
from typing import Final, Self


class Refusal(StrEnum):
    """Why something was refused. Values go on the wire: add, never rename.

    `sentence` says it in words; `transient` says whether the same request can succeed later
    without anything else being done by the caller.
    """

    sentence: str
    transient: bool

    def __new__(cls, code: str, sentence: str, transient: bool = False) -> Self:
        member = str.__new__(cls, code)
        member._value_ = code
        member.sentence = sentence
        member.transient = transient
        return member

    @classmethod
    def named(cls, code: str) -> Self:
        """The refusal with this value. Raises KeyError if there is none."""
        return {member.value: member for member in cls}[code]

    @property
    def binds(self) -> bool:
        """Whether it follows from a state that time alone will not change: then the same request
        is refused for ever. What follows from the request alone may be asked again otherwise.
        """
        return not (self.transient or self in RULES)

    # The request itself.
    BODY_MALFORMED = "body_malformed", "The body is not a JSON object."
    BODY_TOO_LARGE = "body_too_large", "The body is larger than the API accepts."
    PARAMETER_INVALID = "parameter_invalid", "A parameter has a value that is not allowed."
    PARAMETER_MISSING = "parameter_missing", "A required parameter is missing."
    PARAMETER_UNKNOWN = "parameter_unknown", "The request has a parameter that does not exist here."
    CARD_DATA = (
        "card_data",
        "A card number or security code is not accepted anywhere; send the provider's token.",
    )
    REQUEST_INVALID = "request_invalid", "The request cannot be understood."
    ROUTE_NOT_FOUND = "route_not_found", "There is nothing at this path for this method."
    UNAUTHENTICATED = "unauthenticated", "The API key is missing, unknown, or no longer valid."
    FORBIDDEN = "forbidden", "The API key does not allow this."
    SCOPE_MISSING = "scope_missing", "The API key does not have the scope that this call needs."
    ADDRESS_NOT_ALLOWED = (
        "address_not_allowed",
        "The API key may not be used from this address.",
    )
    SCOPE_ESCALATION = (
        "scope_escalation",
        "The API key cannot be used for a key that may do more than itself.",
    )
    RATE_LIMITED = "rate_limited", "Too many requests came at once.", True

    # The idempotency key.
    IDEMPOTENCY_KEY_MISSING = (
        "idempotency_key_missing",
        "This call needs an Idempotency-Key header.",
    )
    IDEMPOTENCY_KEY_INVALID = (
        "idempotency_key_invalid",
        "An Idempotency-Key has 1 to 255 printable ASCII characters.",
    )
    IDEMPOTENCY_KEY_REUSED = (
        "idempotency_key_reused",
        "This Idempotency-Key was used for a different request.",
    )

    # Rules.
    CURRENCY_UNKNOWN = "currency_unknown", "The currency is not an ISO 4217 code with minor units."
    CURRENCY_DIFFERS = "currency_differs", "The account has another currency."
    RECIPIENT_IS_PAYER = "recipient_is_payer", "The recipient is the account that pays."
    RECIPIENT_TWICE = "recipient_twice", "A recipient is named more than once."
    RECIPIENT_NOT_HELD_FOR = "recipient_not_held_for", "The hold has nothing for this recipient."
    BALANCES_TOO_MANY = "balances_too_many", "The account has as many balances as it may have."
    BALANCE_NESTED = "balance_nested", "A balance of an account has no balances of its own."
    SEARCH_TOO_BROAD = (
        "search_too_broad",
        "Too much would have to be looked through; narrow the search, for example in time.",
    )
    NOT_REDRIVABLE = (
        "not_redrivable",
        "The dead letter is evidence; there is no work in it that could be done again.",
    )

    # What is named.
    ACCOUNT_NOT_FOUND = "account_not_found", "There is no such account."
    PAYMENT_NOT_FOUND = "payment_not_found", "There is no such payment."
    HOLD_NOT_FOUND = "hold_not_found", "There is no such hold."
    DEAD_LETTER_NOT_FOUND = "dead_letter_not_found", "There is no such dead letter."
    API_KEY_NOT_FOUND = "api_key_not_found", "There is no such API key."

    # What the state does not allow.
    ACCOUNT_EXISTS = "account_exists", "An account with this id exists."
    ACCOUNT_CLOSED = "account_closed", "The account is closed, or is about to be."
    RECIPIENT_CLOSED = (
        "recipient_closed",
        "The account of a recipient is closed, or is about to be.",
    )
    ACCOUNT_NOT_EMPTY = (
        "account_not_empty",
        "The account has money, owes some, or has some held.",
        True,
    )
    BALANCE_EXPIRED = "balance_expired", "The balance can no longer be spent."
    HOLD_EXISTS = "hold_exists", "A hold with this id exists."
    HOLD_CAPTURED = "hold_captured", "The hold is captured already."
    HOLD_VOIDED = "hold_voided", "The hold is voided."
    HOLD_EXPIRED = "hold_expired", "The hold has expired."
    AMOUNT_EXCEEDS_HOLD = "amount_exceeds_hold", "More than what is left of the hold."
    PAYMENT_EXISTS = "payment_exists", "A payment with this id exists."
    PAYMENT_NOT_AUTHORIZED = (
        "payment_not_authorized",
        "The payment is not authorized yet.",
        True,
    )
    PAYMENT_NOT_CAPTURED = "payment_not_captured", "Nothing of the payment was captured yet."
    PAYMENT_CAPTURED = "payment_captured", "The payment is captured already."
    PAYMENT_CANCELED = "payment_canceled", "The payment is canceled."
    PAYMENT_FAILED = "payment_failed", "The payment has failed."
    AMOUNT_EXCEEDS_AUTHORIZATION = (
        "amount_exceeds_authorization",
        "More than what is left of the authorization.",
    )
    AMOUNT_EXCEEDS_REFUNDABLE = (
        "amount_exceeds_refundable",
        "More than what is left to refund.",
    )
    # For now: what other payments bring may be on its way to the wallet.
    INSUFFICIENT_FUNDS = "insufficient_funds", "The wallet does not have the money.", True
    PAYMENT_NOT_UNDONE = "payment_not_undone", "The payment has effects that are not undone yet."
    PROVIDER_ANSWER_PENDING = (
        "provider_answer_pending",
        "The provider has not answered the operation before this one.",
        True,
    )
    NOTHING_TO_RESOLVE = (
        "nothing_to_resolve",
        "The operation has an answer, or none was asked for.",
    )
    PROVIDER_REFERENCE_MISSING = (
        "provider_reference_missing",
        "Who says that an authorization succeeded names it as the provider does.",
    )
    ATTEMPTS_EXHAUSTED = "attempts_exhausted", "The operation was tried as often as it may be."
    NO_CALL_OWED = "no_call_owed", "The payment owes no call to a provider."
    API_KEY_NOT_ACTIVE = (
        "api_key_not_active",
        "The API key is revoked, has expired, or was rolled already.",
    )

    # The engine.
    HOP_UNAVAILABLE = (
        "hop_unavailable",
        "The dead letter's hop did not take it; the letter is as it was.",
        True,
    )
    CONTENTION = "contention", "Too many requests changed the same thing at once.", True
    UNAVAILABLE = (
        "unavailable",
        "No answer came in time; repeat the request with the same key.",
        True,
    )
    INTERNAL = "internal", "Something went wrong on our side; the request may be repeated.", True


RULES: Final = frozenset(
    {
        Refusal.CURRENCY_UNKNOWN,
        Refusal.CURRENCY_DIFFERS,
        Refusal.RECIPIENT_IS_PAYER,
        Refusal.RECIPIENT_TWICE,
        Refusal.RECIPIENT_NOT_HELD_FOR,
        Refusal.BALANCE_NESTED,
        Refusal.BALANCES_TOO_MANY,
        Refusal.PROVIDER_REFERENCE_MISSING,
        Refusal.SEARCH_TOO_BROAD,
        Refusal.NOT_REDRIVABLE,
    }
)
"""What is refused for what the request says, whatever the state is."""
