"""What clients ask for, flow by flow, and who they are: patient, and with one key per request."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from tests.chaos.deployment import Answered, Deployment
from tests.chaos.machine import AllGone, InvocationDied, Json
from tests.chaos.recovery import NoRestError, Recovery
from tests.functions.world import got, posted

TRIES_MAX: Final = 12
"""How often a client sends a request that it was told may be repeated, or got no answer to."""
PATIENCE: Final = timedelta(seconds=1)


class ClientGoneError(Exception):
    """The client got no answer, and does not ask again."""


class Client:
    """Whoever uses the API: sends each request until it has an answer, always with its key."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self._recovery = Recovery(deployment)

    def pay(self, method: str = "tok_visa", amount: int = 1_000, **fields: object) -> str:
        """The id of a payment that was accepted, and went as far as it went."""
        body = {
            "amount": amount,
            "currency": "EUR",
            "payment_method": method,
            "recipient": self.deployment.seller,
        }
        return str(self.ask("/payments", body | fields)["payment_id"])

    def pay_from_wallet(self, **fields: object) -> str:
        return self.pay(f"wallet:{self.deployment.buyer}", **fields)  # type: ignore[arg-type]  # amounts are numbers

    def change(self, payment_id: str, what: str, **body: object) -> Json:
        """Ask something of a payment."""
        return self.ask(f"/payments/{{payment_id}}/{what}", body, payment_id=payment_id)

    def hold(self, **fields: object) -> str:
        """The id of a hold on the buyer's wallet."""
        part = {"recipient": self.deployment.seller, "amount": 1_000}
        body = {"account": self.deployment.buyer, "currency": "EUR", "parts": [part]}
        return str(self.ask("/holds", body | fields)["hold_id"])

    def change_hold(self, hold_id: str, what: str, **body: object) -> Json:
        return self.ask(f"/holds/{{hold_id}}/{what}", body, hold_id=hold_id)

    def see(self, payment_id: str) -> None:
        """Look at a payment; whoever gets no answer looks another time."""
        try:
            self.deployment.look(got("/payments/{payment_id}", payment_id))
        except (InvocationDied, AllGone):
            return

    def wait(self, seconds: int) -> None:
        self.deployment.clock.advance(timedelta(seconds=seconds))

    def ask(self, resource: str, body: object, **named: str) -> Json:
        """Send a request until it has an answer that stays; let what it started go on."""
        self.deployment.requests += 1
        event = posted(resource, json.dumps(body), f"key-{self.deployment.requests}")
        event |= {"path": resource.format(**named), "pathParameters": named or None}
        for tried in range(TRIES_MAX):
            answered = self._sent(event)
            if answered is not None and not answered.transient:
                self.deployment.settle()
                return answered.body
            self.deployment.clock.advance(PATIENCE)
            if tried:
                # It takes a while, so the sweeper comes by.
                self._recovery.round()
        raise NoRestError(f"{resource} never had an answer that stays")

    def _sent(self, event: Json) -> Answered | None:
        try:
            return self.deployment.send(event)
        except InvocationDied:
            return None
        except AllGone as gone:
            raise ClientGoneError(str(gone)) from gone


def top_up(client: Client) -> None:
    """5000 for the buyer, of which the fee is taken."""
    client.pay(amount=5_155, recipient=client.deployment.buyer)


def _nothing(client: Client) -> None:
    """Two empty accounts will do."""


@dataclass(frozen=True, slots=True)
class Flow:
    """A story, what has to be there before it begins, and how its payments and holds end."""

    name: str
    story: Callable[[Client], None]
    ends: tuple[str, ...]
    before: Callable[[Client], None] = _nothing


# The stories.


def happy(client: Client) -> None:
    client.see(client.pay())


def decline(client: Client) -> None:
    client.pay("tok_declined")


def capture_declined(client: Client) -> None:
    client.pay("tok_capture_fails")


def manual_capture(client: Client) -> None:
    payment_id = client.pay(capture_method="manual")
    client.change(payment_id, "capture", amount=300, final=False)
    client.change(payment_id, "capture", amount=500)


def authorize_only(client: Client) -> None:
    client.pay(capture_method="manual")


def cancel(client: Client) -> None:
    payment_id = client.pay(capture_method="manual")
    client.change(payment_id, "cancel", reason="Out of silk")


def refund(client: Client) -> None:
    payment_id = client.pay()
    client.change(payment_id, "refund", amount=400)
    client.change(payment_id, "refund")


def refund_declined(client: Client) -> None:
    payment_id = client.pay("tok_refund_declined")
    client.change(payment_id, "refund", amount=400)


def timeout_then_success(client: Client) -> None:
    client.pay("tok_timeout_then_success")


def timeout_then_nothing(client: Client) -> None:
    client.pay("tok_timeout_then_nothing")


def wallet_payment(client: Client) -> None:
    client.pay_from_wallet()


def wallet_capture(client: Client) -> None:
    payment_id = client.pay_from_wallet(capture_method="manual")
    client.change(payment_id, "capture", amount=600)


def wallet_cancel(client: Client) -> None:
    payment_id = client.pay_from_wallet(capture_method="manual")
    client.change(payment_id, "cancel")


def wallet_refund(client: Client) -> None:
    payment_id = client.pay_from_wallet()
    client.change(payment_id, "refund", amount=250)


def hold_captured(client: Client) -> None:
    hold_id = client.hold()
    client.change_hold(hold_id, "capture", amount=700)


def hold_voided(client: Client) -> None:
    hold_id = client.hold()
    client.change_hold(hold_id, "void")


def hold_expired(client: Client) -> None:
    client.hold(expires_in_s=60)
    client.wait(61)


FLOWS: Final = (
    Flow("happy", happy, ("succeeded",)),
    Flow("decline", decline, ("failed",)),
    Flow("capture declined", capture_declined, ("failed",)),
    Flow("authorize only", authorize_only, ("authorized",)),
    Flow("manual capture", manual_capture, ("succeeded",)),
    Flow("cancel", cancel, ("canceled",)),
    Flow("refund", refund, ("refunded",)),
    Flow("refund declined", refund_declined, ("succeeded",)),
    Flow("timeout, then success", timeout_then_success, ("succeeded",)),
    Flow("timeout, then nothing", timeout_then_nothing, ("failed",)),
    Flow("wallet payment", wallet_payment, ("succeeded",), top_up),
    Flow("wallet capture", wallet_capture, ("succeeded",), top_up),
    Flow("wallet cancel", wallet_cancel, ("canceled",), top_up),
    Flow("wallet refund", wallet_refund, ("partially_refunded",), top_up),
    Flow("hold captured", hold_captured, ("captured",), top_up),
    Flow("hold voided", hold_voided, ("voided",), top_up),
    Flow("hold expired", hold_expired, ("expired",), top_up),
)
