"""What puts things right when everybody is gone: time passes, and what is owed is resumed.

This stands for the sweeper, by the only means that a sweeper has: it reads, starts executions, has
holds expire, and waits for the stream's readers.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from florin.domain.hold import OpenHold, is_due
from florin.domain.payment import PaymentInitiated, owed
from florin.edge.streams import TRANSIENT
from florin.folding import hold_of
from florin.saga import fold_history
from tests.chaos.deployment import Deployment
from tests.chaos.machine import AllGone, InvocationDied

ROUND: Final = timedelta(seconds=7)
"""So often somebody comes by. Shorter than the time in which "not found" is not final yet, so that
calls are looked up in it, and longer than what is left of it when a provider acts late.
"""

ROUNDS_MAX: Final = 40
"""In so many rounds everything has come to rest, or it never will."""


class NoRestError(Exception):
    """Something is owed, again and again."""


class Recovery:
    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment

    def until_at_rest(self) -> None:
        """Go round until nothing is owed and everybody has read everything."""
        self._deployment.settle()
        for _ in range(ROUNDS_MAX):
            if not (self._behind() or self._deployment.clock.has_more):
                return
            self.round()
        raise NoRestError(f"in {ROUNDS_MAX} rounds there was no rest for {self._behind()}")

    def round(self) -> None:
        """Let time pass, and resume what is owed by then."""
        self._deployment.clock.advance(ROUND)
        for payment_id in self._owing():
            self._deployment.resume(payment_id)
        for hold_id in self._due():
            try:
                self._deployment.app.desk.expire_hold(hold_id)
            except (*TRANSIENT, InvocationDied, AllGone):
                continue  # the next round will find it
        self._deployment.settle()

    def _behind(self) -> list[str]:
        """The streams to which something is still to happen."""
        store, readers = self._deployment.store, self._deployment.readers
        unread = [
            stream
            for stream in store.streams()
            if any(reader.read[stream] < len(store.rows(stream)) for reader in readers)
        ]
        return [*self._owing(), *self._due(), *unread]

    def _owing(self) -> Iterator[str]:
        store = self._deployment.store
        for stream in store.streams():
            history = store.read(stream)
            if isinstance(history.events[0].event, PaymentInitiated) and owed(
                fold_history(history)
            ):
                yield stream

    def _due(self) -> Iterator[str]:
        store, now = self._deployment.store, self._deployment.clock.now()
        for stream in store.streams():
            if stream.startswith("hold_"):
                hold = hold_of(store.read(stream))
                if isinstance(hold, OpenHold) and is_due(hold, now):
                    yield stream
