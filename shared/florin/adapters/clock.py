"""The time of day, and ids that carry it."""

import secrets
from datetime import UTC, datetime, timedelta

from florin.adapters import ulid


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
        return f"{prefix}_{ulid.text_of(ulid.value_at(at, secrets.randbits(80)))}"
