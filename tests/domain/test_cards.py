"""What is taken for a card number, and what is not. The numbers are the networks' test numbers."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from florin.domain.cards import REDACTED, holds_card_number, names_card_data, redacted

CARDS = [
    "4242424242424242",
    "4000056655665556",
    "4222222222222",
    "5555555555554444",
    "2223003122003222",
    "378282246310005",
    "6011111111111117",
    "30569309025904",
    "3566002020360505",
    "6205500000000000004",
]


@pytest.mark.parametrize("number", CARDS)
def test_a_card_number_is_found_wherever_it_stands(number: str) -> None:
    grouped = " ".join(number[start : start + 4] for start in range(0, len(number), 4))
    dashed = grouped.replace(" ", "-")
    for text in (
        number,
        grouped,
        dashed,
        f"card {number}, thanks",
        f"{grouped} 12 26",
        f"x{number}y",
        "  ".join(number),
        grouped.replace(" ", " - "),
        grouped.replace(" ", "\u00a0"),
        dashed.replace("-", "\u2011"),
        "".join(chr(ord(digit) + 0xFEE0) for digit in number),  # full width
        number.translate({ord(digit): 0x0660 + int(digit) for digit in "0123456789"}),
    ):
        assert holds_card_number(text), text
        told = redacted(f"before {text} after")
        assert told.startswith("before ")
        assert told.endswith(" after")
        assert REDACTED in told
        assert not holds_card_number(told)


@given(st.text("0123456789 .-af\u00a0\uff14", max_size=60))
def test_nothing_is_left_of_a_number_and_nothing_else_is_lost(text: str) -> None:
    told = redacted(text)
    assert not holds_card_number(told)
    assert holds_card_number(text) or told == text


@pytest.mark.parametrize(
    "text",
    [
        "d1454709-d58d-e3b6-4333-1459502540d7 4242424242424242",
        "ab4242424242424242cd",
        "abcdefabcdefabc4242424242424242abc",  # no length that a digest has
        "deadbeef4111111111111111cafe",  # nor this
        "00-4242424242424242-4242424242424242-01",  # no trace
        "42424242-4242-4242-5555-555555554444",  # no letter: rather two numbers than a UUID
    ],
)
def test_a_card_number_is_found_beside_what_is_random(text: str) -> None:
    assert holds_card_number(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "4242424242424241",  # a wrong check digit
        "1234567890123452",  # no network's prefix
        "424242424242",  # too short
        "42424242424242424242",  # too long
        "2026-11-21T12:00:00.000Z",
        "1732190400123",
        "order-2026-000123456",
        "acct_01JZ8Q4T6M3VX5N9RWCB7HD2EK",
        "+49 89 1234567",
        "tok_visa",
        "1732190400123456",  # microseconds
        "1732190400123456789",
        "order 2026-11-21 / 000123456 / 7",
        "0000-0002-1825-0097",  # an ORCID has a check digit of its own
        # Chance put a right number into each of these, as it does in one of a thousand.
        "2ed145f47998179883020cf694b19e9f",
        "key_2ED145F47998179883020CF694B19E9F",
        "d1454709-d58d-e3b6-4333-1459502540d7",
        "/payments/d1454709-d58d-e3b6-4333-1459502540d7/refund",
        "e8c42cfc44c4281d380924787019547f7a740392",
        "2669a1187301e56cfb783adc6555847b313874cddfbc323db246548991270564",
        "4242424242424242deadbeef",  # an ObjectId, by its form
        "0x4242424242424242b3f1a2c9d1e2f3a4b5c6d7e8",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-a378282246310005-01",
        "4bf92f3577b34da6a3ce929d0e0e4736-a378282246310005-1",
    ],
)
def test_other_numbers_pass(text: str) -> None:
    assert not holds_card_number(text)


def test_no_uuid_is_taken_for_a_card_number() -> None:
    for number in range(20_000):
        assert not holds_card_number(str(uuid.uuid5(uuid.NAMESPACE_OID, str(number))))


@pytest.mark.parametrize("name", ["cvc", "CVV2", "card_cvc", "security_code", "card number", "pan"])
def test_a_field_for_card_data_is_known_by_its_name(name: str) -> None:
    assert names_card_data(name)


@pytest.mark.parametrize("name", ["company", "cvs", "panel", "order_id", "code"])
def test_other_names_pass(name: str) -> None:
    assert not names_card_data(name)
