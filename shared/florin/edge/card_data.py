"""Where a request holds card data: the names of its fields, never their values."""

from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import unquote_plus

from florin.domain.cards import holds_card_number, names_card_data
from florin.edge.http import Request
from florin.edge.ids import (
    is_account_id,
    is_api_key_id,
    is_dead_letter_id,
    is_hold_id,
    is_payment_id,
)

NOT_THE_CLIENTS: Final = ("authorization", "x-amzn-", "x-forwarded-")
"""Headers that a secret of ours or the gateway's own numbers stand in."""

OUR_IDS: Final = (is_payment_id, is_account_id, is_hold_id, is_dead_letter_id, is_api_key_id)


def outside_the_body(request: Request) -> tuple[str, ...]:
    """The path parameters, query parameters and headers with card data in them."""
    return tuple(dict.fromkeys(_outside(request)))


def _outside(request: Request) -> Iterator[str]:
    for name, value in request.path.items():
        if _in_an_address(value):
            yield name
    for name, value in request.query.items():
        if holds_card_number(unquote_plus(name)):
            yield "query"
        elif names_card_data(name) or _in_an_address(value):
            yield name
    for name, values in request.headers.items():
        if name.startswith(NOT_THE_CLIENTS):
            continue
        if holds_card_number(name):
            yield "headers"
        elif any(holds_card_number(value) for value in values):
            yield name


def _in_an_address(value: str) -> bool:
    """Whether a part of the path or query holds a card number, whoever decodes it."""
    return holds_card_number(unquote_plus(value)) and not _is_id(value)


def _is_id(text: str) -> bool:
    """Whether it is an id of ours, in which digits may stand in any order."""
    return any(ours(text) for ours in OUR_IDS)


def in_the_body(fields: Mapping[str, object]) -> tuple[str, ...]:
    """The paths of a body's fields with card data in them."""
    return tuple(dict.fromkeys(_inside(fields, "")))


def _inside(value: object, path: str) -> Iterator[str]:
    match value:
        case dict():
            for name, inner in value.items():
                if holds_card_number(name):
                    yield path or "body"
                    continue
                below = f"{path}.{name}" if path else name
                if names_card_data(name):
                    yield below
                else:
                    yield from _inside(inner, below)
        case list():
            for inner in value:
                yield from _inside(inner, path)
        case None | bool():
            return
        case _:
            if holds_card_number(str(value)):
                yield path
