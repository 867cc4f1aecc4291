"""What every keeper of the books promises of deadlines: found when they are due, moved once."""

from dataclasses import replace
from datetime import datetime, timedelta

from florin.ports import Advance, View
from tests.contracts.conftest import Store
from tests.support.examples import NOON, TENANT

MINUTE = timedelta(minutes=1)


def view(stream: str, due_at: datetime | None, version: int = 1) -> View:
    return View(
        stream=stream,
        tenant_id=TENANT,
        kind="payment",
        status="processing",
        version=version,
        created_at=NOON,
        updated_at=NOON,
        due_at=due_at,
    )


def put(store: Store, *views: View) -> None:
    assert store.advance([Advance(view=one, from_version=one.version - 1) for one in views])


def test_what_is_due_is_found_earliest_first(store: Store) -> None:
    put(store, view("pay_3", NOON + MINUTE), view("pay_1", NOON), view("pay_2", NOON - MINUTE))
    put(store, view("pay_4", None))
    assert store.due(NOON - 2 * MINUTE, 10) == ()
    assert store.due(NOON, 10) == ("pay_2", "pay_1")
    assert store.due(NOON + MINUTE, 2) == ("pay_2", "pay_1")
    assert store.due(NOON + MINUTE, 10) == ("pay_2", "pay_1", "pay_3")


def test_many_are_due_at_once(store: Store) -> None:
    put(store, *(view(f"pay_{number:02}", NOON) for number in range(25)))
    assert set(store.due(NOON, 100)) == {f"pay_{number:02}" for number in range(25)}
    assert len(store.due(NOON, 7)) == 7


def test_a_deadline_is_moved_by_one_of_two(store: Store) -> None:
    first = view("pay_1", NOON)
    put(store, first)
    assert store.postpone(first, NOON + MINUTE)
    assert not store.postpone(first, NOON + 2 * MINUTE), "somebody else has said so"
    moved = store.view("pay_1")
    assert moved == replace(first, due_at=NOON + MINUTE, resumes=1)
    assert store.due(NOON, 10) == ()
    assert moved is not None
    assert store.postpone(moved, None)
    assert store.due(NOON + MINUTE, 10) == ()
    assert store.view("pay_1") == replace(first, due_at=None, resumes=2)


def test_what_was_not_due_is_found_when_it_is(store: Store) -> None:
    undated = view("pay_1", None)
    put(store, undated)
    assert store.postpone(undated, NOON)
    assert store.due(NOON, 10) == ("pay_1",)


def test_a_new_fact_begins_anew(store: Store) -> None:
    first = view("pay_1", NOON)
    put(store, first)
    store.postpone(first, NOON + MINUTE)
    put(store, view("pay_1", NOON + 5 * MINUTE, version=2))
    assert not store.postpone(first, NOON)
    assert store.view("pay_1") == view("pay_1", NOON + 5 * MINUTE, version=2)
    put(store, view("pay_1", None, version=3))
    assert store.due(NOON + 10 * MINUTE, 10) == ()
