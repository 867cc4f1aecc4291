"""What should have followed the events by now and has not: found, written down and made good.

A walk over the events compares them with the views, and with what a listener of the bus has heard
of. What is missing becomes a dead letter of the hop that should have done it, and is redriven at
once. So everything that ever went missing is listed like everything else that was given up, and
what cannot be made good stays there, open, for somebody to look at.
"""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby, islice
from typing import Final

from florin.dead_letters import Redriver, event_work, letter_id
from florin.ports import (
    Arrival,
    Books,
    Clock,
    DeadLetters,
    EventStore,
    EventWalk,
    HopUnavailableError,
    LetterState,
    NotRedrivableError,
    Passed,
    Witness,
)
from florin.projection import view_of

VIEW_LATE_AFTER: Final = timedelta(minutes=5)
"""The view of a payment that stopped on its way moves when the sweeper comes by."""
BUS_LATE_AFTER: Final = timedelta(minutes=15)
"""Longer than the bus and its listener's queue try."""
BUS_REMEMBERED: Final = timedelta(days=30)
"""Less than a listener remembers what it has heard of: nobody can tell about older events."""
ASKED_AT_ONCE: Final = 100


DATED_FOR: Final = timedelta(days=30)
"""So long after its last fact a stream's deadline is derived anew. An operator has heard of what
is owed for longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaughtUp:
    """What a walk found: events passed, of the missing how many were made good and not, and how
    many streams nobody would have looked after.
    """

    events: int = 0
    made_good: int = 0
    left_open: int = 0
    undated: int = 0

    def __add__(self, other: "CaughtUp") -> "CaughtUp":
        return CaughtUp(
            events=self.events + other.events,
            made_good=self.made_good + other.made_good,
            left_open=self.left_open + other.left_open,
            undated=self.undated + other.undated,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CatchUp:
    """`told` are the types of events that the witness hears of when all is well."""

    events: EventWalk
    store: EventStore
    books: Books
    witness: Witness
    told: AbstractSet[str]
    letters: DeadLetters
    redriver: Redriver
    clock: Clock

    def run(self, segment: int = 0, segments: int = 1) -> CaughtUp:
        """Walk over one segment of the events and make good what is missing."""
        now = self.clock.now()
        found = CaughtUp()
        events = self.events.walk(segment, segments)
        while some := tuple(islice(events, ASKED_AT_ONCE)):
            found += CaughtUp(events=len(some))
            for missing in (*self._unprojected(some, now), *self._unheard_of(some, now)):
                found += self._made_good(missing, now)
            found += CaughtUp(undated=sum(self._dated(some, now)))
        return found

    def _dated(self, some: tuple[Passed, ...], now: datetime) -> Iterator[bool]:
        """For each stream that begins among these: whether its deadline was missing, and is not."""
        for event in some:
            if event.version != 1:
                continue
            view = self.books.view(event.stream)
            if view is None or view.due_at is not None or now - view.updated_at > DATED_FOR:
                continue
            derived = view_of(self.store.read(event.stream))
            # A view that is behind was made good above, and one that was looked after often enough
            # may be due no more.
            if derived.version == view.version and derived.due_at is not None and not view.resumes:
                yield self.books.postpone(view, derived.due_at)

    def _unprojected(self, some: tuple[Passed, ...], now: datetime) -> Iterator[Arrival]:
        """For each stream whose view is late, its first event that the view does not contain."""
        for stream, events in groupby(some, lambda event: event.stream):
            waiting = [event for event in events if now - event.recorded_at > VIEW_LATE_AFTER]
            view = self.books.view(stream) if waiting else None
            version = view.version if view else 0
            late = [event for event in waiting if event.version > version]
            if late:
                cause = f"catch-up: the view stands at {version}"
                yield _arrival("projector", min(late, key=lambda one: one.version), cause, now)

    def _unheard_of(self, some: tuple[Passed, ...], now: datetime) -> Iterator[Arrival]:
        expected = [
            event
            for event in some
            if event.type in self.told and BUS_LATE_AFTER < now - event.recorded_at < BUS_REMEMBERED
        ]
        if not expected:
            return
        heard_of = self.witness.heard_of([event.event_id for event in expected])
        for event in expected:
            if event.event_id not in heard_of and not self._lies_with_the_listener(event):
                yield _arrival("publisher", event, "catch-up: nobody has heard of it", now)

    def _lies_with_the_listener(self, event: Passed) -> bool:
        return self._is_open(letter_id("analytics", event.event_id))

    def _is_open(self, dead_letter_id: str) -> bool:
        letter = self.letters.letter(dead_letter_id)
        return letter is not None and letter.state is LetterState.OPEN

    def _made_good(self, missing: Arrival, now: datetime) -> CaughtUp:
        """Redrive what is missing, unless somebody has to look at it already."""
        if self._is_open(missing.letter_id):
            return CaughtUp(left_open=1)
        self.letters.arrive(missing, now)
        letter = self.letters.letter(missing.letter_id)
        assert letter is not None, "it has just arrived"
        try:
            state = self.redriver.redrive(letter).state
        except (HopUnavailableError, NotRedrivableError):
            state = LetterState.OPEN
        done = state is LetterState.REDRIVEN
        return CaughtUp(made_good=int(done), left_open=int(not done))


def _arrival(hop: str, event: Passed, cause: str, now: datetime) -> Arrival:
    return Arrival(
        letter_id=letter_id(hop, event_work(event.stream, event.version)),
        message_id=f"catch-up/{now.isoformat()}",
        hop=hop,
        cause=cause,
        payload=f'{{"stream": "{event.stream}", "version": {event.version}}}',
        tenant_id=event.tenant_id,
        stream=event.stream,
        version=event.version,
    )
