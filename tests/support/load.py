"""Many payments of every kind at once, and what must be true of them when all has come to rest."""

import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from infra.client import ENDED, Answer, Client, Json
from infra.local import Stack
from infra.simulator_books import simulator_books

AMOUNT_MINOR: Final = 100
PATIENCE_S: Final = 240.0
PAUSE_S: Final = 0.1
WALLET: Final = "wallet"
ENDS: Final[Mapping[str, str]] = {
    "tok_visa": "succeeded",
    WALLET: "succeeded",
    "tok_declined": "failed",
    "tok_capture_fails": "failed",
}
"""How payments end that nothing stands in the way of. A wallet's are not asked of a provider."""


@dataclass
class Load:
    """Payments of an account that sells and a wallet that pays, each under a key of its own."""

    client: Client
    seller: str
    payer: str
    payments: int
    wanted: list[tuple[str, Json, str]] = field(init=False)

    def __post_init__(self) -> None:
        kinds = [*ENDS]
        self.wanted = [
            (kind, self._body(kind), uuid.uuid4().hex)
            for kind in (kinds[number % len(kinds)] for number in range(self.payments))
        ]

    def _body(self, kind: str) -> Json:
        return {
            "amount": AMOUNT_MINOR,
            "currency": "EUR",
            "payment_method": f"wallet:{self.payer}" if kind == WALLET else kind,
            "recipient": self.seller,
        }

    def accepted(self, at_once: int) -> list[str]:
        """The ids of all the payments, whose clients repeat their requests until they hear."""
        with ThreadPoolExecutor(at_once) as pool:
            answers = list(pool.map(lambda one: self._accepted(one[1], one[2]), self.wanted))
        assert {answer.status for answer in answers} == {201}, Counter(map(str, answers))
        return [str(answer.body["payment_id"]) for answer in answers]

    def _accepted(self, body: Json, key: str) -> Answer:
        return _until(
            lambda: self.client.post("/payments", body, key),
            lambda answer: answer.status < 500 and answer.status != 429,
        )

    def shown(self, payment_id: str) -> Json:
        """A payment, whatever happens to those who look it up."""
        path = f"/payments/{payment_id}"
        return _until(lambda: self.client.get(path), lambda answer: answer.status == 200).body

    def ended(self, ids: list[str], sweep: Callable[[], object]) -> dict[str, Json]:
        """All the payments, once each has ended, while somebody sweeps."""
        deadline = time.monotonic() + PATIENCE_S
        payments = {payment_id: self.shown(payment_id) for payment_id in ids}
        while waiting := [one for one in ids if payments[one]["status"] not in ENDED]:
            assert time.monotonic() < deadline, [payments[one] for one in waiting]
            time.sleep(1.0)
            sweep()
            payments |= {one: self.shown(one) for one in waiting}
        return payments

    def check(self, stack: Stack, payments: Mapping[str, Json], wallet_minor: int) -> None:
        """Every payment ended as its kind does, the provider's books agree, and so do wallets."""
        ends = {
            (kind, payment["status"])
            for (kind, _, _), payment in zip(self.wanted, payments.values(), strict=True)
        }
        assert ends == set(ENDS.items())
        for payment_id, payment in payments.items():
            books = simulator_books(stack, payment_id)
            taken = 0 if payment["payer"] else payment["captured"]
            assert (books.captured_amount, books.captured) == (taken, 1 if taken else 0), payment
            assert books.authorized - books.voided == (1 if taken else 0), payment
        net = sum(payment["net_amount"] or 0 for payment in payments.values())
        spent = sum(payment["captured"] for payment in payments.values() if payment["payer"])
        for account_id, left in ((self.seller, net), (self.payer, wallet_minor - spent)):
            wallet = self.client.wallet_with(account_id, left)
            assert (wallet["available"], wallet["held"], wallet["balance"]) == (left, 0, left)


def _until(ask: Callable[[], Answer], told: Callable[[Answer], bool]) -> Answer:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            answer = ask()
        except OSError:  # the connection was cut
            answer = Answer(status=599, headers={}, body={}, raw=b"")
        if told(answer):
            return answer
        assert time.monotonic() < deadline, answer
        time.sleep(PAUSE_S)
