"""What is measured: each flow, so many of it at the same time, through the whole stack."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tests.bench.counts import Counts, counted
from tests.bench.stack import Stack

TOGETHER: Final = 10
"""How many payments run at the same time, in step with each other."""
ALL: Final = 100
"""The size of the readers' batches in the template: all that is new, here."""


@dataclass
class Bench:
    """A stack with a seller and a buyer who has money, and who pays whom."""

    stack: Stack

    def __post_init__(self) -> None:
        self.seller = self.stack.account()
        self.buyer = self.stack.account("customer")
        self.stack.settle()
        self.stack.run()
        self.pay(1_000_000, recipient=self.buyer)
        self.stack.settle()

    def pay(self, amount: int = 10_000, method: str = "tok_visa", **fields: object) -> str:
        body = {
            "amount": amount,
            "currency": "EUR",
            "payment_method": method,
            "recipient": self.seller,
            "order_id": f"order-{self.stack.requests:08}",
            "description": "Twelve ells of silk",
        }
        return str(self.stack.ask("/payments", body | fields)["payment_id"])

    def _measured(self, name: str, of: int, work: Callable[[], None]) -> Counts:
        self.stack.settle()
        work()
        self.stack.listen()
        executions = list(self.stack.executions)
        self.stack.executions.clear()
        return counted(name, of, self.stack.meter.take(), executions)

    # Accepting.

    def accept(self) -> Counts:
        return self._measured("accept", TOGETHER, self.pay_many)

    def replay(self) -> Counts:
        body = {"amount": 700, "currency": "EUR", "payment_method": "tok_visa"}
        body |= {"recipient": self.seller}
        self.stack.ask("/payments", body, "key-replayed")
        self.stack.settle()
        return self._measured(
            "replay", 1, lambda: _ignore(self.stack.ask("/payments", body, "key-replayed"))
        )

    def pay_many(self, times: int = TOGETHER, method: str = "tok_visa") -> None:
        for _ in range(times):
            self.pay(method=method)

    def accepting(self) -> dict[str, int]:
        """What a function that has worked before asks DynamoDB for a payment, at most."""
        self.pay()
        self.stack.settle()
        return self._asked(self.pay)

    def replaying(self) -> dict[str, int]:
        body = {"amount": 700, "currency": "EUR", "payment_method": "tok_visa"}
        body |= {"recipient": self.seller}
        self.stack.ask("/payments", body, "key-replayed-twice")
        self.stack.settle()
        return self._asked(lambda: self.stack.ask("/payments", body, "key-replayed-twice"))

    def _asked(self, request: Callable[[], object]) -> dict[str, int]:
        request()
        (invocation,) = self.stack.meter.take()
        calls = [call for call in invocation.calls if call.service == "dynamodb"]
        self.stack.settle()
        return {
            "round_trips": len(calls),
            "reads": sum(call.read_units > 0 for call in calls),
        }

    # Payments.

    def happy(self) -> Counts:
        """All that ten payments bring comes to the readers at once."""
        return self._flow("happy payment", self.pay_many)

    def happy_in_step(self) -> Counts:
        """Ten payments in step: each batch has ten records, one of each payment."""
        return self._flow("happy payment, ten in step", self.pay_many, records_at_once=10)

    def happy_alone(self) -> Counts:
        """Every record is a batch."""
        return self._flow("happy payment, batches of 1", self.pay_many, records_at_once=1)

    def happy_many_sellers(self) -> Counts:
        sellers = [self.stack.account() for _ in range(TOGETHER)]
        self.stack.settle()

        def work() -> None:
            for seller in sellers:
                self.pay(recipient=seller)

        return self._flow("happy payment, ten sellers", work)

    def declined(self) -> Counts:
        """Authorized, the capture declined, so voided and failed."""
        return self._flow("decline with undo", lambda: self.pay_many(method="tok_capture_fails"))

    def wallet_payment(self) -> Counts:
        return self._flow(
            "payment out of a wallet", lambda: self.pay_many(method=f"wallet:{self.buyer}")
        )

    def refund(self) -> Counts:
        paid = [self.pay() for _ in range(TOGETHER)]
        self.stack.settle()

        def work() -> None:
            for payment_id in paid:
                self.stack.ask("/payments/{payment_id}/refund", {}, payment_id=payment_id)

        return self._flow("refund", work)

    def hold_and_capture(self) -> Counts:
        def work() -> None:
            part = {"recipient": self.seller, "amount": 100}
            body = {"account": self.buyer, "currency": "EUR", "parts": [part]}
            holds = [self.stack.ask("/holds", body)["hold_id"] for _ in range(TOGETHER)]
            for hold_id in holds:
                self.stack.ask("/holds/{hold_id}/capture", {}, hold_id=hold_id)

        return self._flow("hold and capture", work)

    def _flow(
        self, name: str, work: Callable[[], None], records_at_once: int | None = None
    ) -> Counts:
        """Ten of something, from the request to the last reader of the stream."""

        def whole() -> None:
            for _ in range(TOGETHER):
                self.stack.authorize()
            work()
            if records_at_once is None:
                self.stack.run()
                self.stack.deliver(ALL)
            else:
                self.stack.deliver(records_at_once)
                self.stack.run(between=lambda: self.stack.deliver(records_at_once))

        return self._measured(name, TOGETHER, whole)

    def all(self) -> dict[str, Counts]:
        """Everything, by a short name."""
        return {
            "accept": self.accept(),
            "replay": self.replay(),
            "happy": self.happy(),
            "happy_in_step": self.happy_in_step(),
            "happy_alone": self.happy_alone(),
            "happy_many_sellers": self.happy_many_sellers(),
            "declined": self.declined(),
            "refund": self.refund(),
            "wallet_payment": self.wallet_payment(),
            "hold_and_capture": self.hold_and_capture(),
        }


def _ignore(answered: object) -> None:
    """A request of which only the cost counts."""
