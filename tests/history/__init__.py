"""What every version stored, frozen, and what today's code must still make of it.

    tests/history/v1/{story}.json   a story: its events as items of the table, what they come to
    tests/history/v1/reads.json     the event types and schema versions that the version can read

A released version's files never change. Those of the version that is being worked on are written by

    PYTHONPATH=.:shared:functions python -m tests.history

whenever an event type or schema version is added, with a story in which it happens.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from florin.adapters.codec import SCHEMAS, Codec, Row, verify
from florin.adapters.dynamodb import row_from_item
from florin.domain.history import History, Recorded
from florin.domain.ledger import Posting
from florin.edge.answers import hold_details, payment_details
from florin.folding import account_of

Json = dict[str, Any]

FOLDER: Final = Path(__file__).parent
CURRENT: Final = "v1"
"""The version that is being worked on."""

RELEASED: Final[tuple[str, ...]] = ()
"""The versions that somebody runs, oldest first: `CURRENT` joins them on the day of its release."""

CODEC: Final = Codec()


def versions() -> tuple[str, ...]:
    return (*RELEASED, CURRENT)


def stories(version: str) -> Iterator[tuple[str, Json]]:
    for file in sorted((FOLDER / version).glob("*.json")):
        if file.name != "reads.json":
            yield file.stem, json.loads(file.read_text(encoding="utf-8"))


def read_by(version: str) -> Mapping[str, int]:
    """By event type the schema version up to which a version can read."""
    text = (FOLDER / version / "reads.json").read_text(encoding="utf-8")
    reads: dict[str, int] = json.loads(text)
    return reads


def reads_today() -> dict[str, int]:
    return {schema.name: schema.version for schema in SCHEMAS}


def unreadable(written: Mapping[str, int], reads: Mapping[str, int]) -> list[str]:
    """What one version writes and another, which runs beside it, cannot read."""
    return sorted(name for name, version in written.items() if version > reads.get(name, 0))


def rows_of(items: Sequence[Json]) -> list[Row]:
    return [row_from_item(item) for item in items]


def comes_to(rows: Sequence[Row]) -> Json:
    """What today's code makes of a stream: what clients are told, and what is on the books."""
    verify(rows)
    facts = tuple(CODEC.decode(row) for row in rows)
    history = History(facts)
    told: Any
    match facts[0].type.partition(".")[0]:
        case "payment":
            told = payment_details(history)
        case "hold":
            told = hold_details(history)
        case _:
            told = account_of(history)
    return {
        "summary": json.loads(msgspec.json.encode(told)),
        "books": books(facts),
        "head": {"version": history.head.version, "hash": history.head.hash},
    }


def books(facts: Sequence[Recorded]) -> dict[str, int]:
    """What the entries of a stream add to each account, credits less debits."""
    balances: dict[str, int] = {}
    for fact in facts:
        for posting in fact.entry.postings if fact.entry else ():
            _post(balances, posting)
    return dict(sorted(balances.items()))


def _post(balances: dict[str, int], posting: Posting) -> None:
    for account, sign in ((posting.debit, -1), (posting.credit, 1)):
        name = f"{account} {posting.amount.currency}"
        balances[name] = balances.get(name, 0) + sign * posting.amount.minor


def differences(frozen: Any, found: Any, at: str = "") -> list[str]:
    """Where what was frozen is not found any more; a field that is new is no difference."""
    if isinstance(frozen, dict) and isinstance(found, dict):
        return [
            said
            for name, value in frozen.items()
            for said in (
                differences(value, found[name], f"{at}.{name}")
                if name in found
                else [f"{at}.{name} is gone"]
            )
        ]
    if isinstance(frozen, list) and isinstance(found, list) and len(frozen) == len(found):
        return [
            said
            for number, (one, other) in enumerate(zip(frozen, found, strict=True))
            for said in differences(one, other, f"{at}[{number}]")
        ]
    return [] if frozen == found else [f"{at} was {frozen!r}, is {found!r}"]
