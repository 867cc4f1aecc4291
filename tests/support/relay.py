"""Actors that take turns, so that a test says where one of them stops and another goes on.

Each runs in a thread of its own, of which only one moves at any time: from one call of a port to
the next. So every interleaving of their calls can be had, the same one again from the same
choices.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from threading import Semaphore, Thread


class Gone(BaseException):  # no error: it is how an invocation is taken away
    """The actor's machine is gone, in the middle of whatever it did."""


@dataclass(frozen=True)
class Pause:
    """Where to stop: before the next write after so many, or before any call after so many."""

    after: int
    reads: bool = False


@dataclass(eq=False)
class Actor:
    """A piece of work that stops before its port calls when it is told to.

    After `deadline` it is gone instead of going on, as an invocation is after its timeout. `error`
    is the first thing that went wrong in it, also where others caught that and went on.
    """

    work: Callable[[], object]
    deadline: datetime | None = None
    fates: list[str] = field(default_factory=list)
    done: bool = False
    error: BaseException | None = None
    _pause: Pause | None = None
    _going: bool = True
    _go: Semaphore = field(default_factory=lambda: Semaphore(0))
    _stopped: Semaphore = field(default_factory=lambda: Semaphore(0))
    _thread: Thread | None = None

    def stop(self, *, reading: bool) -> None:
        """Be at a port call: stop here if it is time to."""
        if self._pause is None or (reading and not self._pause.reads):
            return
        if self._pause.after:
            self._pause = replace(self._pause, after=self._pause.after - 1)
            return
        self._stopped.release()
        self._go.acquire()
        if not self._going:
            raise Gone

    def run(self) -> None:
        try:
            self.work()
        except Gone:
            pass
        except BaseException as error:  # noqa: BLE001  # whoever drives the relay raises it
            self.error = self.error or error
        finally:
            self.done = True
            self._stopped.release()

    def move(self, pause: Pause | None, *, going: bool = True) -> None:
        """Go on to the pause, or to the end; or be gone."""
        self._pause, self._going = pause, going
        if self._thread is not None:
            self._go.release()
        elif pause is None:
            self.run()
            return
        else:
            self._thread = Thread(target=self.run, daemon=True)
            self._thread.start()
        self._stopped.acquire()
        if self.done:
            self._thread.join()


class Relay:
    """Who moves, and who has stopped on the way."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._moving: Actor | None = None
        self.stopped: list[Actor] = []
        self.failed = False

    @property
    def moving(self) -> Actor:
        assert self._moving is not None, "only actors call"
        return self._moving

    def stop(self, *, reading: bool = False) -> None:
        """Every port call goes through here."""
        self.moving.stop(reading=reading)

    def start(self, actor: Actor, pause: Pause | None) -> None:
        """Let an actor begin, and go as far as it should."""
        self._move(actor, pause)

    def go_on(self, actor: Actor, pause: Pause | None) -> None:
        """Let one that has stopped go on, if its machine has waited for it so long."""
        self.stopped.remove(actor)
        late = actor.deadline is not None and self._now() > actor.deadline
        self._move(actor, None if late else pause, going=not late)

    def lose(self, actor: Actor) -> None:
        """Take away one that has stopped."""
        self.stopped.remove(actor)
        self._move(actor, None, going=False)

    def lose_all(self) -> None:
        while self.stopped:
            self.stopped.pop().move(None, going=False)

    def _move(self, actor: Actor, pause: Pause | None, *, going: bool = True) -> None:
        self._moving = actor
        actor.move(pause, going=going)
        self._moving = None
        if actor.error is not None:
            self.failed = True
            raise actor.error
        if not actor.done:
            self.stopped.append(actor)
