"""Keyed hashes: what is stored of API keys and of the fields of requests.

Both are HMAC-SHA256 under a secret of the stack. That of API keys, the pepper, can be rotated.
That of fields cannot: idempotency keys are bound for ever, and what they are bound to are hashes.
Each use has a label of its own in front of what is hashed, so that a hash of one kind can never
pass for one of the other, should both secrets be the same.
"""

import hmac
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping
from typing import Final

FIELD_HASH_BYTES: Final = 9
"""72 bits, 12 characters: plenty to tell the values of one field apart, and short to store."""


PEPPERS_KEPT_FOR_S: Final = 300.0
ASKED_ANEW_AFTER_S: Final = 5.0
"""What matches no pepper is not asked about more often: anybody can send what matches none."""


class Peppers:
    """The peppers that are live: the current one and, once it was rotated, the one before.

    `read` finds the version of the secret that has a label, if any.
    """

    def __init__(
        self, read: Callable[[str], bytes | None], now: Callable[[], float] = time.monotonic
    ) -> None:
        self._read = read
        self._now = now
        self._live: tuple[bytes, ...] = ()
        self._read_at = 0.0

    @property
    def current(self) -> bytes:
        """The pepper under which new keys are kept."""
        return self._fresh_for(PEPPERS_KEPT_FOR_S)[0]

    def matching(self, api_key: str, stored_hash: str) -> bytes | None:
        """The pepper under which the stored hash is that of this key."""
        for kept_for_s in (PEPPERS_KEPT_FOR_S, ASKED_ANEW_AFTER_S):
            for pepper in self._fresh_for(kept_for_s):
                if hmac.compare_digest(key_hash(pepper, api_key), stored_hash):
                    return pepper
        return None

    def _fresh_for(self, kept_for_s: float) -> tuple[bytes, ...]:
        """The live peppers as they were so long ago or later."""
        if not self._live or self._now() - self._read_at >= kept_for_s:
            found = [self._read(label) for label in ("AWSCURRENT", "AWSPREVIOUS")]
            self._live = tuple(pepper for pepper in found if pepper is not None)
            self._read_at = self._now()
        return self._live


def key_hash(pepper: bytes, api_key: str) -> str:
    """The hash by which an API key is recognized: hex, 64 characters."""
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
