"""API keys in memory."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from threading import Lock

from florin.domain.keys import ApiKey
from florin.ports import LAST_USE_KEPT_EVERY


class MemoryKeys:
    """Passes the contract tests of the table."""

    def __init__(self, *keys: ApiKey) -> None:
        self._lock = Lock()
        self._keys = {key.key_id: key for key in keys}

    def api_key(self, key_id: str) -> ApiKey | None:
        with self._lock:
            return self._keys.get(key_id)

    def api_keys(self, tenant_id: str, *, limit: int, after: str | None = None) -> Sequence[ApiKey]:
        with self._lock:
            ids = sorted(self._keys, reverse=True)
        found = [
            self._keys[key_id]
            for key_id in ids
            if self._keys[key_id].tenant_id == tenant_id and (after is None or key_id < after)
        ]
        return tuple(found[:limit])

    def add(self, key: ApiKey, predecessor: ApiKey | None = None) -> bool:
        with self._lock:
            if key.key_id in self._keys:
                return False
            if predecessor is not None and not self._changed(predecessor):
                return False
            self._keys[key.key_id] = key
        return True

    def change(self, key: ApiKey) -> bool:
        with self._lock:
            return self._changed(key)

    def _changed(self, key: ApiKey) -> bool:
        known = self._keys.get(key.key_id)
        if known is None or known.version != key.version:
            return False
        self._keys[key.key_id] = replace(
            key,
            version=key.version + 1,
            secret_hash=known.secret_hash,
            last_used_at=known.last_used_at,
        )
        return True

    def used(self, key: ApiKey, at: datetime, secret_hash: str) -> None:
        with self._lock:
            known = self._keys.get(key.key_id)
            if known is None or known.secret_hash != key.secret_hash:
                return
            if known.last_used_at is None or known.last_used_at <= at - LAST_USE_KEPT_EVERY:
                self._keys[key.key_id] = replace(known, last_used_at=at, secret_hash=secret_hash)
