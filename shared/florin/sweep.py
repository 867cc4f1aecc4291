"""Looking after what nobody else looks after: streams that are due, and calls without an answer.

The sweeper asks every minute what is due and takes it up: a hold expires, a payment gets an
execution that goes on where the last one stopped. A look-up by message does the same sooner for
a call that a provider left without an answer. Both only start what may run at any time, so doing
it twice, late or for nothing is harmless.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from florin.domain.deadlines import LOOKUPS_AFTER, payment_due_at
from florin.domain.history import History
from florin.domain.payment import Payment, Pending, open_calls, owed
from florin.ports import Books, Clock, EventStore, Parking, Sagas, View, Wakeups
from florin.saga import fold_history

STREAMS_MAX: Final = 100
"""How many due streams are asked for at once."""

RESUMES_MAX: Final = 8
"""So often a payment is taken up again before an operator hears of it: after about two hours, or
after two days of asking a provider."""

STUCK: Final = "stuck: it was taken up again and again, and nothing followed"


class Taken(StrEnum):
    """What was done about a stream that was due."""

    RESUMED = "resumed"
    EXPIRED = "expired"
    CAUGHT_UP = "caught_up"
    SETTLED = "settled"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweeper:
    """Takes up what is due.

    `expire` lets a hold go whose time is up, `project` brings the books up to date with a stream,
    `time_left` says whether there is time for one more, `unanswered` hears how long a provider's
    answer is overdue, and `failed` hears of what went wrong.
    """

    store: EventStore
    books: Books
    sagas: Sagas
    clock: Clock
    parking: Parking
    expire: Callable[[str], None]
    project: Callable[[str], None]
    time_left: Callable[[], bool] = lambda: True
    unanswered: Callable[[str, timedelta], None] = lambda payment_id, overdue: None
    failed: Callable[[str, Exception], None] = lambda stream, error: None

    def sweep(self, ahead: timedelta = timedelta(0)) -> Mapping[Taken, int]:
        """Take up everything that is due, each stream once; how often what was done.

        What is due within the time `ahead` is taken up now: too early does no harm.
        """
        done: dict[str, Taken] = {}
        until = self.clock.now() + ahead
        while self.time_left():
            # What failed is due still, and must not hide what comes after it.
            due = self.books.due(until, STREAMS_MAX + len(done))
            fresh = [stream for stream in due if stream not in done]
            if not fresh:
                break
            for stream in fresh:
                if not self.time_left():
                    break
                done[stream] = self._take_up(stream, until)
        return Counter(done.values())

    def _take_up(self, stream: str, until: datetime) -> Taken:
        """Take up one stream. One that goes wrong does not keep the others waiting."""
        try:
            return self._taken_up(stream, until)
        except Exception as error:  # noqa: BLE001  # whatever it is, the next sweep tries again
            self.failed(stream, error)
            return Taken.FAILED

    def _taken_up(self, stream: str, until: datetime) -> Taken:
        view, history = self.books.view(stream), self.store.read(stream)
        if view is None or view.version < history.head.version:
            # Its facts went on while its view did not. What the view says now may be due as well.
            self.project(stream)
            view = self.books.view(stream)
            if view is None or view.version != history.head.version:
                return Taken.CAUGHT_UP
            if view.due_at is None or view.due_at > until:
                return Taken.CAUGHT_UP
        if view.kind == "hold":
            self.expire(stream)
            self.project(stream)
            return Taken.EXPIRED
        return self._resume(view, history)

    def _resume(self, view: View, history: History) -> Taken:
        payment, last = fold_history(history), history.events[-1]
        if payment_due_at(payment, last.recorded_at) is None:
            self.books.postpone(view, None)
            return Taken.SETTLED
        if calls := open_calls(payment):
            overdue = self.clock.now() - min(call.deadline for call in calls)
            self.unanswered(view.stream, overdue)
        if view.resumes == RESUMES_MAX:
            hop = "follow_up" if is_authorized(payment) else "payment"
            self.parking.park(hop, STUCK, stuck(history, payment))
        # Started before it is noted: who dies in between starts the same name again.
        self.sagas.resume(
            view.stream, view.version, f"r{view.resumes}", authorized=is_authorized(payment)
        )
        later = payment_due_at(payment, last.recorded_at, view.resumes + 1)
        self.books.postpone(view, not_before(later, self.clock.now() + timedelta(minutes=1)))
        return Taken.RESUMED


def not_before(due_at: datetime | None, earliest: datetime) -> datetime | None:
    """A deadline that is not over already when it is set."""
    return None if due_at is None else max(due_at, earliest)


def is_authorized(payment: Payment) -> bool:
    """Whether what a payment owes is what follows its authorization."""
    return not isinstance(payment, Pending)


def stuck(history: History, payment: Payment) -> Mapping[str, object]:
    """What an operator has to know of a payment that does not go on."""
    first, last = history.events[0], history.events[-1]
    return {
        "payment_id": first.stream,
        "tenant_id": first.tenant_id,
        "version": last.version,
        "last_event": last.type,
        "last_recorded_at": last.recorded_at.isoformat(timespec="milliseconds"),
        "owed": [item.step.value for item in owed(payment)],
        "unanswered": [call.reference for call in open_calls(payment)],
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookups:
    """Has calls looked up that were left without an answer, a few times at growing distances."""

    store: EventStore
    sagas: Sagas
    wakeups: Wakeups
    clock: Clock

    def look_up(self, payment_id: str, number: int) -> bool:
        """Start the n-th look-up of a payment's open calls, and arrange for the next one; whether
        there was anything to look up.
        """
        history = self.store.read(payment_id)
        if not history.events:
            return False
        payment = fold_history(history)
        calls = open_calls(payment)
        if not calls:
            return False
        self.sagas.resume(
            payment_id,
            history.head.version,
            f"l{number}",
            authorized=is_authorized(payment),
        )
        later = number + 1
        if later < len(LOOKUPS_AFTER):
            due_at = min(call.deadline for call in calls) + LOOKUPS_AFTER[later]
            self.wakeups.wake(payment_id, later, due_at - self.clock.now())
        return True
