"""What is taken for a card number, and what is not. The numbers are the networks' test numbers."""

import pytest

from florin.domain.cards import holds_card_number, names_card_data

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
    ):
        assert holds_card_number(text), text


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
    ],
)
def test_other_numbers_pass(text: str) -> None:
    assert not holds_card_number(text)


@pytest.mark.parametrize("name", ["cvc", "CVV2", "card_cvc", "security_code", "card number", "pan"])
def test_a_field_for_card_data_is_known_by_its_name(name: str) -> None:
    assert names_card_data(name)


@pytest.mark.parametrize("name", ["company", "cvs", "panel", "order_id", "code"])
def test_other_names_pass(name: str) -> None:
    assert not names_card_data(name)
