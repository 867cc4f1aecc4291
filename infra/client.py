"""A small client of Florin's HTTP API, for the demo and the end-to-end tests."""

import json
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from infra.local import Stack

ENDED: Final = frozenset({"succeeded", "failed", "canceled"})
REQUEST_TIMEOUT_S: Final = 60.0
"""Fifty workers of the local stack that start at once keep two cores busy for half of it."""
POLL_S: Final = 0.05
POLL_MAX_S: Final = 0.4

Json = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """What came back: header names in lower case, the body parsed."""

    status: int
    headers: Mapping[str, str]
    body: Json
    raw: bytes = field(repr=False)


@dataclass(frozen=True)
class Client:
    """Calls of one tenant."""

    api_url: str
    api_key: str = field(repr=False)

    @classmethod
    def of(cls, stack: Stack, tenant: int = 0) -> "Client":
        return cls(stack.api_url, stack.tenants[tenant].api_key)

    def get(self, path: str) -> Answer:
        return self.send("GET", path)

    def post(self, path: str, body: object, key: str | None = None) -> Answer:
        """Post a JSON body under an idempotency key, a fresh one unless given."""
        headers = {"Idempotency-Key": key or uuid.uuid4().hex}
        return self.send("POST", path, json.dumps(body).encode(), headers)

    def send(
        self,
        method: str,
        path: str,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send anything, also what is wrong; `headers` replace the usual ones."""
        usual = {"Authorization": f"Bearer {self.api_key}", "Content-Type": "application/json"}
        request = urllib.request.Request(  # noqa: S310  # the address is the local stack's
            self.api_url + path, data, {**usual, **(headers or {})}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=REQUEST_TIMEOUT_S) as answer:  # noqa: S310
                return _answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return _answer(error.code, error.headers, error.read())

    def created(self, path: str, body: object) -> Json:
        """Post what must succeed; the body of the answer."""
        answer = self.post(path, body)
        if answer.status != 201:
            raise AssertionError(f"{path} answered {answer.status}: {answer.body}")
        return answer.body

    def seller(self, currency: str = "EUR") -> str:
        """The id of a new seller's account."""
        account_id: str = self.created("/accounts", {"currency": currency, "kind": "seller"})[
            "account_id"
        ]
        return account_id

    def ended(self, payment_id: str, timeout_s: float = 90.0) -> Json:
        """The payment, once it has ended."""
        return self.payment_when(payment_id, lambda payment: payment["status"] in ENDED, timeout_s)

    def payment_when(
        self, payment_id: str, ready: Callable[[Json], bool], timeout_s: float = 90.0
    ) -> Json:
        """The payment, once it is as expected."""
        deadline, pause_s = time.monotonic() + timeout_s, POLL_S
        while time.monotonic() < deadline:
            payment = self.get(f"/payments/{payment_id}").body
            if ready(payment):
                return payment
            time.sleep(pause_s)
            pause_s = min(pause_s * 1.5, POLL_MAX_S)  # who waits for much at once, asks less often
        raise AssertionError(f"after {timeout_s} s still {payment}")

    def wallet_with(self, account_id: str, balance: int, timeout_s: float = 90.0) -> Json:
        """The wallet once its balance is as expected, or as it is when time is up."""
        deadline = time.monotonic() + timeout_s
        while True:
            wallet = self.get(f"/wallets/{account_id}").body
            if wallet["balance"] == balance or time.monotonic() > deadline:
                return wallet
            time.sleep(POLL_S)


def _answer(status: int, headers: Any, raw: bytes) -> Answer:
    names = {name.lower(): value for name, value in headers.items()}
    try:
        body = json.loads(raw)
    except ValueError:
        body = {}
    return Answer(status, names, body if isinstance(body, dict) else {}, raw)
