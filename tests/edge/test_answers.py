"""What is told of facts, and what never is."""

from dataclasses import fields
from datetime import UTC, datetime, timedelta, timezone
from typing import get_args

import pytest

from florin.adapters.codec import SCHEMAS
from florin.domain.history import Event
from florin.edge.answers import PUBLIC_FIELDS, PUBLIC_TYPES, timestamp

SECRET = frozenset({"tenant_id", "payment_method", "owner", "deadline"})


@pytest.mark.parametrize("event", get_args(Event))
def test_public_fields_exist_and_hold_no_secret(event: type[Event]) -> None:
    names = {field.name for field in fields(event)}
    assert set(PUBLIC_FIELDS[event]) <= names - SECRET


def test_public_types_exist() -> None:
    assert {schema.name for schema in SCHEMAS} >= PUBLIC_TYPES


@pytest.mark.parametrize(
    ("moment", "told"),
    [
        (datetime(2026, 11, 21, 12, tzinfo=UTC), "2026-11-21T12:00:00.000Z"),
        (datetime(2026, 11, 21, 12, 0, 0, 7_999, UTC), "2026-11-21T12:00:00.007Z"),
        (
            datetime(2026, 11, 21, 1, tzinfo=timezone(timedelta(hours=2))),
            "2026-11-20T23:00:00.000Z",
        ),
    ],
)
def test_times_are_utc_with_milliseconds(moment: datetime, told: str) -> None:
    assert timestamp(moment) == told
