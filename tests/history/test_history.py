"""What any version has stored, today's code reads, and makes of it what that version made of it."""

import json
from typing import Any

import pytest

from florin.adapters.codec import CorruptEventError
from tests.history import (
    CURRENT,
    FOLDER,
    RELEASED,
    comes_to,
    differences,
    read_by,
    reads_today,
    rows_of,
    stories,
    unreadable,
    versions,
)

STORIES = [(version, name, told) for version in versions() for name, told in stories(version)]


@pytest.mark.parametrize(
    ("version", "name", "told"), STORIES, ids=[f"{version} {name}" for version, name, _ in STORIES]
)
def test_a_frozen_history_comes_to_what_it_came_to(
    version: str, name: str, told: dict[str, Any]
) -> None:
    assert told
    for stream, kept in told.items():
        assert differences(kept["comes_to"], comes_to(rows_of(kept["items"]))) == [], stream


def test_every_version_has_its_histories_and_nobody_elses() -> None:
    assert {folder.name for folder in FOLDER.glob("v*")} == set(versions())
    assert CURRENT not in RELEASED


@pytest.mark.parametrize("version", versions())
def test_the_histories_of_a_version_hold_all_that_it_stores(version: str) -> None:
    held = {
        (item["type"]["S"], int(item["schema_version"]["N"]))
        for _, told in stories(version)
        for kept in told.values()
        for item in kept["items"]
    }
    lack = [type_ for type_ in read_by(version) if type_ not in {name for name, _ in held}]
    assert lack == [], "write a story in which it happens: tests/history/__main__.py"


def test_what_the_current_version_reads_is_written_down() -> None:
    assert read_by(CURRENT) == reads_today(), "run `python -m tests.history`"


def test_the_release_before_can_read_what_this_one_writes() -> None:
    """They run side by side while a release goes out, and after it was taken back."""
    for before in RELEASED[-1:]:
        lack = unreadable(reads_today(), read_by(before))
        assert lack == [], f"{before} cannot read it: release the reading first, then the writing"


def test_a_type_or_version_that_the_other_does_not_know_is_noticed() -> None:
    before = {"payment.initiated": 1, "payment.voided": 2}
    assert unreadable({"payment.initiated": 1, "payment.voided": 1}, before) == []
    after = {"payment.initiated": 2, "payment.split": 1, "payment.voided": 2}
    assert unreadable(after, before) == ["payment.initiated", "payment.split"]


# That these tests notice what they are for.


def one(prefix: str) -> dict[str, Any]:
    story = dict(stories(CURRENT))["happy"]
    (stream,) = (stream for stream in story if stream.startswith(prefix))
    kept: dict[str, Any] = story[stream]
    return kept


def test_a_frozen_event_that_was_changed_is_noticed() -> None:
    kept = one("pay_")
    kept["items"][0]["data"]["S"] = kept["items"][0]["data"]["S"].replace("1000", "1001")
    with pytest.raises(CorruptEventError):
        comes_to(rows_of(kept["items"]))


def test_another_outcome_is_noticed_and_a_new_field_is_none() -> None:
    found = comes_to(rows_of(one("pay_")["items"]))
    frozen = json.loads(json.dumps(found))
    del frozen["summary"]["metadata"]
    assert differences(frozen, found) == []
    frozen["summary"]["status"] = "failed"
    frozen["summary"]["saga"]["steps_before"] = 3
    frozen["books"]["platform:fees EUR"] = 31
    assert differences(frozen, found) == [
        ".summary.status was 'failed', is 'succeeded'",
        ".summary.saga.steps_before is gone",
        ".books.platform:fees EUR was 31, is 30",
    ]
