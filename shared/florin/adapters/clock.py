"""The time of day, and ids that carry it."""

import secrets
from datetime import UTC, datetime, timedelta
from typing import Final

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class SystemClock:
    def now(self) -> datetime:
        moment = datetime.now(UTC)
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


class ManualClock:
    """A clock that stands still until it is told to go on."""

    def __init__(self, start: datetime) -> None:
        self._now = start

    def now(self) -> datetime:
        return self._now

    def advance(self, by: timedelta) -> None:
        self._now += by


class UlidIds:
    """Ids as `{prefix}_{ULID}`: 48 bits of milliseconds and 80 random ones, in base 32.

    Written here because it is these few lines, and the library's import costs more than all of
    the engine's own.
    """

    def new(self, prefix: str, at: datetime) -> str:
        value = (int(at.timestamp() * 1000) << 80) | secrets.randbits(80)
        digits = "".join(_ALPHABET[(value >> shift) & 31] for shift in range(125, -1, -5))
        return f"{prefix}_{digits}"
