"""Dead letters in memory."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from threading import Lock

from florin.ports import Arrival, DeadLetter, LetterFilter, LetterState, RedriveRecord


class MemoryDeadLetters:
    """Passes the contract tests of the table."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._letters: dict[str, DeadLetter] = {}
        self._last_message: dict[str, str] = {}
        self._records: dict[str, RedriveRecord] = {}

    def arrive(self, arrival: Arrival, at: datetime) -> bool:
        with self._lock:
            if self._last_message.get(arrival.letter_id) == arrival.message_id:
                return False
            self._last_message[arrival.letter_id] = arrival.message_id
            before = self._letters.get(arrival.letter_id)
            self._letters[arrival.letter_id] = DeadLetter(
                letter_id=arrival.letter_id,
                hop=arrival.hop,
                cause=arrival.cause,
                payload=arrival.payload,
                tenant_id=before.tenant_id if before else arrival.tenant_id,
                stream=arrival.stream,
                version=arrival.version,
                first_seen=before.first_seen if before else at,
                last_seen=at,
                seen=before.seen + 1 if before else 1,
                state=LetterState.OPEN,
                redrives=before.redrives if before else 0,
                revision=before.revision + 1 if before else 1,
            )
        return True

    def letter(self, letter_id: str) -> DeadLetter | None:
        with self._lock:
            return self._letters.get(letter_id)

    def letters(
        self,
        owners: Sequence[str | None],
        wanted: LetterFilter,
        *,
        limit: int,
        after: DeadLetter | None = None,
        oldest_first: bool = False,
    ) -> Sequence[DeadLetter]:
        with self._lock:
            found = sorted(self._letters.values(), key=_place, reverse=not oldest_first)
        page = [
            replace(letter, payload="")
            for letter in found
            if letter.tenant_id in owners
            and wanted.matches(letter)
            and (
                after is None
                or (
                    _place(letter) > _place(after)
                    if oldest_first
                    else _place(letter) < _place(after)
                )
            )
        ]
        return tuple(page[:limit])

    def count_redrive(self, letter: DeadLetter) -> DeadLetter | None:
        return self._changed(
            letter, replace(letter, redrives=letter.redrives + 1, revision=letter.revision + 1)
        )

    def close(self, letter: DeadLetter) -> bool:
        closed = replace(letter, state=LetterState.REDRIVEN, revision=letter.revision + 1)
        return self._changed(letter, closed) is not None

    def _changed(self, read: DeadLetter, to: DeadLetter) -> DeadLetter | None:
        with self._lock:
            if self._letters[read.letter_id].revision != read.revision:
                return None
            self._letters[read.letter_id] = to
            return to

    def keep(self, record: RedriveRecord) -> None:
        with self._lock:
            self._records[record.redrive_id] = record

    def record(self, redrive_id: str) -> RedriveRecord | None:
        with self._lock:
            return self._records.get(redrive_id)


def _place(letter: DeadLetter) -> tuple[datetime, str]:
    return letter.first_seen, letter.letter_id
