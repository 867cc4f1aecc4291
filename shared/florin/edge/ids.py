"""Which ids we gave: the shape of an id is checked before anything is asked about it."""

import re
from typing import Final

_ULID: Final = "[0-9A-HJKMNP-TV-Z]{26}"
_PAYMENT: Final = re.compile(f"pay_{_ULID}")
_ACCOUNT: Final = re.compile(f"acct_{_ULID}")
_HOLD: Final = re.compile(f"hold_{_ULID}")
_DEAD_LETTER: Final = re.compile(f"dl_{_ULID}")
_API_KEY: Final = re.compile(f"key_{_ULID}")


def is_payment_id(text: str) -> bool:
    return _PAYMENT.fullmatch(text) is not None


def is_account_id(text: str) -> bool:
    return _ACCOUNT.fullmatch(text) is not None


def is_hold_id(text: str) -> bool:
    return _HOLD.fullmatch(text) is not None


def is_dead_letter_id(text: str) -> bool:
    return _DEAD_LETTER.fullmatch(text) is not None


def is_api_key_id(text: str) -> bool:
    return _API_KEY.fullmatch(text) is not None
