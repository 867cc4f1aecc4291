"""JSON as it is taken: what two readers could understand in two ways is malformed."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from florin.edge.http import Request
from florin.edge.requests import (
    BODY_BYTES_MAX,
    MalformedError,
    PaymentRequest,
    parse,
    read,
)
from florin.handle import Refused

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


def nested(levels: int) -> bytes:
    """An object with arrays in it, `levels` deep in all."""
    return b'{"a":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"


@settings(deadline=None)
@given(st.dictionaries(st.text(), json_values, max_size=4))
def test_every_object_is_read_as_it_is(value: dict[str, Any]) -> None:
    assert parse(json.dumps(value).encode()) == value
    assert parse(json.dumps(value, ensure_ascii=False).encode()) == value


@pytest.mark.parametrize(
    ("inside", "outside"),
    [
        (nested(16), nested(17)),
        (b'{"a":' + b"9" * 1_000 + b"}", b'{"a":' + b"9" * 1_001 + b"}"),
        (b'{"a":"\\ud83d\\udc1b"}', b'{"a":"\\udc1b\\ud83d"}'),
        ('{"a":"ü"}'.encode(), '{"a":"ü"}'.encode("latin-1")),
        (b'{"a":{"b":1},"b":1}', b'{"a":{"b":1,"b":1}}'),
        (b'{"a":1e400}', b'{"a":Infinity}'),
        (b' {"a":1}\n', b'\xef\xbb\xbf{"a":1}'),
        (b'{"a":"\\u0000"}', b'{"a":"\x00"}'),
    ],
)
def test_where_the_line_is_drawn(inside: bytes, outside: bytes) -> None:
    parse(inside)
    with pytest.raises(MalformedError):
        parse(outside)


def test_utf_16_is_not_guessed() -> None:
    with pytest.raises(MalformedError):
        parse('{"a": 1}'.encode("utf-16"))


def test_the_largest_valid_body_is_not_too_large() -> None:
    """Every text at its longest, each character escaped as a pair of surrogates."""
    worm = "🐛"
    body = {
        "amount": 999_999_999_999,
        "currency": "EUR",
        "payment_method": "t" * 255,
        "recipient": "acct_01JZ8Q4T6M3VX5N9RWCB7HD2EK",
        "description": worm * 500,
        "customer": worm * 255,
        "order_id": worm * 255,
        "metadata": {f"{number:02}" + worm * 38: worm * 500 for number in range(20)},
    }
    text = json.dumps(body)
    assert len(text) < BODY_BYTES_MAX
    request = Request(route="POST /payments", request_id="", text=text)
    asked = read(request, PaymentRequest)
    assert not isinstance(asked, Refused), asked
