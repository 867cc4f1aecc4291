"""What puts things right when everybody is gone: time passes, and who looks after things comes by.

The sweeper takes up what is due, look-ups come when they were asked for, and the readers of the
stream are called again. Nothing else is done to help: what none of them finds stays as it is.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from florin.domain.hold import OpenHold, is_due
from florin.domain.payment import PaymentInitiated, owed
from florin.edge.streams import TRANSIENT
from florin.folding import hold_of
from florin.saga import fold_history
from tests.chaos.deployment import Deployment
from tests.chaos.machine import AllGone, InvocationDied

ROUNDS_MAX: Final = 40
"""In so many rounds everything has come to rest, or it never will."""


class NoRestError(Exception):
    """Something is owed, and nobody comes by, or everybody does again and again."""


class Recovery:
    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment

    def until_at_rest(self) -> None:
        """Go from one moment at which something is to happen to the next, until there is none."""
        self._deployment.settle()
        for _ in range(ROUNDS_MAX):
            moments = [*self._moments()]
            if not moments:
                break
            self._at(min(moments))
        if left := [*self._owing(), *self._moments()]:
            raise NoRestError(f"in {ROUNDS_MAX} rounds there was no rest for {left}")

    def round(self) -> None:
        """Let the next thing happen, or a minute pass."""
        a_minute = self._deployment.clock.now() + timedelta(minutes=1)
        self._at(min(self._moments(), default=a_minute))

    def _at(self, moment: datetime) -> None:
        deployment = self._deployment
        deployment.clock.advance(max(moment - deployment.clock.now(), timedelta(0)))
        now = deployment.clock.now()
        for wakeup in [one for one in deployment.wakeups.waiting if one[0] <= now]:
            # A queue hands out its message again until somebody has worked on it.
            if _done(partial(deployment.lookups.look_up, *wakeup[1:])):
                deployment.wakeups.waiting.remove(wakeup)
        _done(deployment.sweeper.sweep)
        deployment.settle()

    def _moments(self) -> Iterator[datetime]:
        """When something is to happen."""
        deployment = self._deployment
        now = deployment.clock.now()
        yield from (due_at for due_at, _, _ in deployment.wakeups.waiting)
        yield from deployment.clock.moments
        for stream in deployment.store.streams():
            view = deployment.store.view(stream)
            if view is not None and view.due_at is not None:
                yield view.due_at
            rows = len(deployment.store.rows(stream))
            if any(reader.read[stream] < rows for reader in deployment.readers):
                yield now

    def _owing(self) -> Iterator[str]:
        store, now = self._deployment.store, self._deployment.clock.now()
        for stream in store.streams():
            history = store.read(stream)
            if isinstance(history.events[0].event, PaymentInitiated):
                if owed(fold_history(history)):
                    yield stream
            elif stream.startswith("hold_"):
                hold = hold_of(history)
                if isinstance(hold, OpenHold) and is_due(hold, now):
                    yield stream


def _done(work: Callable[[], object]) -> bool:
    """Whether an invocation that nobody waits for came to its end."""
    try:
        work()
    except (*TRANSIENT, InvocationDied, AllGone):
        return False
    return True
