"""Promise 9 on the deployed stack: card data is refused everywhere and leaves no trace."""

import hashlib
import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, quote_plus

import pytest

from infra.client import Answer, Client
from infra.local import Stack
from tests.support.everything import everything, found, planted, quiet
from tests.support.permissions import Recorder

pytestmark = pytest.mark.parametrize("stack", ["plain"], indirect=True)

NETWORKS: Final = (
    ("4", 13),  # Visa
    ("4", 16),
    ("4", 19),
    ("51", 16),  # Mastercard
    ("2221", 16),
    ("37", 15),  # American Express
    ("36", 14),  # Diners Club
    ("6011", 16),  # Discover
    ("3528", 16),  # JCB
    ("62", 17),  # UnionPay
    ("6304", 18),  # Maestro
)
BETWEEN: Final = ("", " ", "-", ".")
REQUESTS: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A request with card data in it, and what it is refused for: a field, or a status alone."""

    method: str = "POST"
    path: str = "/payments"
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    param: str | None = None
    status: int = 400


def payment(**fields: object) -> dict[str, object]:
    usual = {"amount": 1_000, "currency": "EUR", "payment_method": "tok_visa"}
    return usual | {"recipient": "acct_01JZ8Q4T6M3VX5N9RWCB7HD2EK"} | fields


def get(path: str, **rest: Any) -> Attempt:
    return Attempt(method="GET", path=path, **rest)


PLACES: Final[tuple[Callable[[str], Attempt], ...]] = (
    lambda card: get(f"/payments/{quote(card)}", param="payment_id"),
    lambda card: get(f"/payments/{quote(card)}/events", param="payment_id"),
    lambda card: Attempt(path=f"/accounts/{quote(card)}/close", body={}, param="account_id"),
    lambda card: get(f"/payments/{quote(card)}/nothing", status=404),
    lambda card: get(f"/payments?{quote_plus(card)}=1", param="query"),
    lambda card: get(f"/ledger?account_id={quote_plus(card)}", param="account_id"),
    lambda card: get("/payments", headers={"X-Order": f"of {card}"}, param="x-order"),
    lambda card: get("/payments", headers={f"X-{card.replace(' ', '-')}": "1"}, param="headers"),
    lambda card: Attempt(
        body=payment(), headers={"Idempotency-Key": f"order {card}"}, param="idempotency-key"
    ),
    lambda card: get("/payments", headers={"Authorization": f"Bearer sk_test_{card}"}, status=401),
    lambda card: get("/payments", headers={"Authorization": f"Basic {card}"}, status=401),
    lambda card: Attempt(body=payment(payment_method=card), param="payment_method"),
    lambda card: Attempt(body=payment(description=f"paid by {card}, ok?"), param="description"),
    lambda card: Attempt(body=payment(card={"number": card}), param="card.number"),
    lambda card: Attempt(body=payment(cards=[[card]]), param="cards"),
    lambda card: Attempt(body=payment(metadata={card: "x"}), param="metadata"),
    lambda card: Attempt(body=payment(metadata={"note": card}), param="metadata.note"),
    lambda card: Attempt(body=payment(amount=int(digits(card))), param="amount"),
    lambda card: Attempt(body=payment(card_cvc=f"code-{card}"), param="card_cvc"),
    lambda card: Attempt(body=payment(metadata={"CVV": f"c{card}"}), param="metadata.CVV"),
    lambda card: Attempt(body={"pan": card}, path="/holds", param="pan"),
    lambda card: Attempt(body=f'{{"customer": "{card}"', status=400),
    lambda card: Attempt(body=f'"{card}"', status=400),
)


def digits(card: str) -> str:
    return "".join(filter(str.isdigit, card))


def card_number(seed: int, prefix: str, length: int) -> str:
    """A number with a right check digit, as issuers make them."""
    random = str(int(hashlib.sha256(f"card {seed}".encode()).hexdigest(), 16))
    start = (prefix + random)[: length - 1]
    return next(f"{start}{last}" for last in range(10) if luhn(f"{start}{last}"))


def luhn(number: str) -> bool:
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in number[-2::-2])
    return (sum(doubled) + sum(map(int, number[-1::-2]))) % 10 == 0


def written(number: str, between: str) -> str:
    return between.join(number[start : start + 4] for start in range(0, len(number), 4))


def attempts() -> Iterator[tuple[str, Attempt]]:
    """Every place with numbers of every network in every way to write them."""
    ways = zip(cycle(PLACES), cycle(NETWORKS), cycle(BETWEEN), strict=False)
    for seed, (place, (prefix, length), between) in enumerate(islice(ways, REQUESTS)):
        number = card_number(seed, prefix, length)
        yield number, place(written(number, between))


def send(client: Client, attempt: Attempt) -> Answer:
    body = attempt.body
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    headers = {"Idempotency-Key": uuid.uuid4().hex} if attempt.method == "POST" else {}
    return client.send(
        attempt.method,
        attempt.path,
        None if body is None else data,
        headers | attempt.headers,
    )


def test_a_hundred_attempts_are_refused_and_leave_no_trace(
    stack: Stack, directory: Path, recorder: Recorder
) -> None:
    client = Client.of(stack)
    seller = client.seller()
    harmless = card_number(-1, "4", 16)[:-1]
    harmless += next(last for last in "0123456789" if not luhn(harmless + last))

    sent: list[bytes] = []
    recorder.bodies = sent
    try:
        numbers = set()
        for number, attempt in attempts():
            numbers.add(number)
            answer = send(client, attempt)
            assert answer.status == attempt.status, (attempt, answer)
            if attempt.param:
                error = answer.body["error"]
                assert (error["code"], error["param"]) == ("card_data", attempt.param), attempt
            told = json.dumps(dict(answer.headers)) + answer.raw.decode()
            assert not found([number], told), "an answer repeats it"
        assert len(numbers) == REQUESTS

        # The same search finds a number that is no card's, which is therefore kept.
        order = payment(recipient=seller, order_id=harmless)
        assert client.ended(client.created("/payments", order)["payment_id"])
    finally:
        recorder.bodies = None

    events = stack.tables["events"]
    with quiet(stack), planted(stack, directory, written(harmless, "-"), spared=events) as places:
        seen, leaked = set(), []
        for place, text in everything(stack, directory, sent):
            here = found({*numbers, harmless}, text)
            if harmless in here:
                seen.add(place)
            if here - {harmless}:
                leaked.append((place, here, text[:500]))
    assert not leaked
    assert seen >= {*places, f"table {events}", "sent by a function"}


def test_numbers_that_are_no_cards_pass(stack: Stack) -> None:
    client = Client.of(stack)
    seller = client.seller()
    numbers = {
        "order_id": "4242424242424241",
        "customer": "507f1f77bcf86cd799439011",
        "description": "order 2026-000123456 of 2026-11-21, call +49 89 1234567",
        "metadata": {
            "at_ms": "1795190400123",
            "at_ns": "1795190400123456789",
            "ulid": "01JZ8Q4T6M3VX5N9RWCB7HD2EK",
            "sha256": hashlib.sha256(b"florin").hexdigest(),
            "iban": "DE89370400440532013000",
        },
    }
    headers = {
        "Idempotency-Key": "2ed145f47998179883020cf694b19e9f",
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-a378282246310005-01",
    }
    body = json.dumps(payment(recipient=seller, **numbers)).encode()
    answer = client.send("POST", "/payments", body, headers)
    assert answer.status == 201, answer.body
