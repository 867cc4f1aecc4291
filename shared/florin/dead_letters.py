"""What was given up, and how it is sent again.

    hop fails for good ─▶ its queue ─▶ collected as an open letter ─▶ redriven to its own hop
                                            ▲                               │
                                            └────────── fails again ────────┘

A letter's id follows from its hop and the work in it, so whatever fails again is the same letter,
open once more. A redrive is counted before the hop is asked and the letter closed after; if it
comes back in between, or the sender dies, it stays open. Every hop takes the same work twice
without a second effect, so a redrive may be repeated by anybody at any time.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from florin.ports import (
    Clock,
    ContentionError,
    DeadLetter,
    DeadLetters,
    Hop,
    HopUnavailableError,
    LetterFilter,
    LetterState,
    NotRedrivableError,
)

CHANGES_MAX: Final = 5
"""How often a redrive is begun anew because its letter changed meanwhile."""

REDRIVES_MAX: Final = 100
"""How many letters one request redrives."""

REDRIVE_TIME: Final = timedelta(seconds=12)
"""When a request that redrives many begins no other: the rest is left to the next request."""

TAMPER: Final = "tamper"
"""The cause of a letter that is evidence: a fact was changed or deleted, or somebody tried to."""

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def letter_id(hop: str, work: str) -> str:
    """`dl_` and 26 characters: the same for the same work of the same hop, without a look-up."""
    digest = hashlib.sha256(f"{hop}\n{work}".encode()).digest()
    value = int.from_bytes(digest[:16])
    return "dl_" + "".join(_ALPHABET[(value >> shift) & 31] for shift in range(125, -1, -5))


def event_work(stream: str, version: int | str | None) -> str:
    """The work of a reader of the stream: one event."""
    return f"{stream}:{version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Redriver:
    """Sends dead letters to their own hops again."""

    letters: DeadLetters
    hops: Mapping[str, Hop]
    clock: Clock

    def redrive(self, letter: DeadLetter) -> DeadLetter:
        """The letter after its redrive; one that is redriven already is left alone.

        Raises:
            NotRedrivableError: there is no work in it.
            HopUnavailableError: its hop did not take it, and it is open as before.
            ContentionError: it kept changing.
        """
        for _ in range(CHANGES_MAX):
            if letter.state is LetterState.REDRIVEN:
                return letter
            hop = self.hops.get(letter.hop)
            if hop is None or letter.cause == TAMPER:
                raise NotRedrivableError(f"{letter.hop}: {letter.cause}")
            counted = self.letters.count_redrive(letter)
            if counted is None:
                letter = self._now(letter)
                continue
            hop.take(counted)
            self.letters.close(counted)
            return self._now(counted)
        raise ContentionError(f"{letter.letter_id} changed under us {CHANGES_MAX} times")

    def redrive_all(
        self,
        owners: Sequence[str | None],
        wanted: LetterFilter,
        after: DeadLetter | None = None,
    ) -> tuple[tuple[tuple[str, LetterState], ...], bool]:
        """Redrive what matches, oldest first, and say what became of each, and if there is more.

        `after` is the last letter of the request before: what stays open would else be tried
        again and again, and what is behind it never. A hop that does not take one letter is not
        asked for the others.
        """
        began = self.clock.now()
        found = self.letters.letters(
            owners, wanted, limit=REDRIVES_MAX + 1, after=after, oldest_first=True
        )
        results: list[tuple[str, LetterState]] = []
        unavailable: set[str] = set()
        for summary in found[:REDRIVES_MAX]:
            if self.clock.now() - began > REDRIVE_TIME:
                return tuple(results), True
            state = LetterState.OPEN
            if summary.hop not in unavailable:
                try:
                    state = self.redrive(self._now(summary)).state
                except HopUnavailableError:
                    unavailable.add(summary.hop)
                except NotRedrivableError:
                    pass
            results.append((summary.letter_id, state))
        return tuple(results), len(found) > REDRIVES_MAX

    def _now(self, letter: DeadLetter) -> DeadLetter:
        current = self.letters.letter(letter.letter_id)
        assert current is not None, "letters are never deleted"
        return current
