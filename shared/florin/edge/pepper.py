"""Keyed hashes: what is stored of API keys and of the fields of requests.

Both are HMAC-SHA256 under the one secret of the stack, the pepper. Each use has a label of its
own in front of what is hashed, so that a hash of one kind can never pass for one of the other.
"""

import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from typing import Final

FIELD_HASH_BYTES: Final = 9
"""72 bits, 12 characters: plenty to tell the values of one field apart, and short to store."""


def key_hash(pepper: bytes, api_key: str) -> str:
    """The hash by which an API key is found: hex, 64 characters."""
    return hmac.digest(pepper, b"api-key:" + api_key.encode(), "sha256").hex()


def fingerprint(pepper: bytes, fields: Mapping[str, object]) -> Mapping[str, str]:
    """The hash of each field of a body, by its path; absent fields are absent.

    The path of an entry of a mapping is the mapping's own path, a dot and the entry's key.
    """
    return {path: _field_hash(pepper, path, value) for path, value in _leaves(fields)}


def _field_hash(pepper: bytes, path: str, value: object) -> str:
    text = json.dumps([path, value], separators=(",", ":"))
    digest = hmac.digest(pepper, b"field:" + text.encode(), "sha256")
    return urlsafe_b64encode(digest[:FIELD_HASH_BYTES]).decode()


def _leaves(fields: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in fields.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
