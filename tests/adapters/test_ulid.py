"""ULIDs as numbers: they sort like their texts, and a time is a span of them."""

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from florin.adapters import ulid
from florin.adapters.clock import UlidIds

values = st.integers(0, ulid.VALUES_END - 1)
MILLISECOND = timedelta(milliseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
moments = st.integers(0, 253_402_300_799_998).map(lambda number: EPOCH + number * MILLISECOND)


@given(values, values)
def test_a_value_is_its_text_and_sorts_like_it(one: int, other: int) -> None:
    assert ulid.value_of(ulid.text_of(one)) == one
    assert (ulid.text_of(one) < ulid.text_of(other)) == (one < other)


@given(moments)
def test_an_id_is_in_the_span_of_its_time_and_in_no_other(moment: datetime) -> None:
    value = ulid.value_of(UlidIds().new("pay", moment).removeprefix("pay_"))
    assert ulid.first_since(moment) <= value < ulid.first_since(moment + MILLISECOND)
    assert value < ulid.first_since(moment + timedelta(microseconds=1))
    assert ulid.first_since(moment - timedelta(microseconds=1)) <= value


def test_every_time_that_there_is_has_a_span() -> None:
    first = datetime.min.replace(tzinfo=timezone(timedelta(hours=14)))
    last = datetime.max.replace(tzinfo=timezone(timedelta(hours=-14)))
    assert ulid.first_since(first) == 0
    assert ulid.first_since(last) < ulid.VALUES_END
