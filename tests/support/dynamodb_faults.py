"""What DynamoDB answers when it is busy, byte for byte as it does, and a rule that is always busy.

The forms are those of protocol AWS JSON 1.0: status 400, the error's full name in `__type`, a
request id and a CRC of the body, which the SDK compares. Only the two errors that came with
transactions begin their message with a capital M.
"""

import base64
import json
import os
import threading
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from tests.support.fault_proxy import PASS, Answer, Fate, Request

MODEL: Final = "com.amazonaws.dynamodb.v20120810"
CORAL: Final = "com.amazon.coral.availability"
"""Throttling by the account's own limits is told by the layer in front of DynamoDB."""

REASONS: Final = {
    "TransactionConflict": "Transaction is ongoing for the item",
    "ThrottlingError": (
        "Throughput exceeds the current capacity of your table or index. DynamoDB is "
        "automatically scaling your table or index so please try again shortly. If exceptions "
        "persist, check if you have a hot key."
    ),
    "ProvisionedThroughputExceeded": (
        "The level of configured provisioned throughput for the table was exceeded. Consider "
        "increasing your provisioning level with the UpdateTable API"
    ),
}
"""Why an item can stop a transaction for a moment, and what is said of it."""


def error(name: str, document: Mapping[str, Any]) -> Answer:
    """An error of DynamoDB by its full name."""
    body = json.dumps({"__type": name, **document}).encode()
    return Answer(
        name=name.rpartition("#")[2],
        status=HTTPStatus.BAD_REQUEST,
        headers={
            "Server": "Server",
            "Content-Type": "application/x-amz-json-1.0",
            "x-amzn-RequestId": base64.b32encode(os.urandom(32)).decode().rstrip("="),
            "x-amz-crc32": str(zlib.crc32(body)),
        },
        body=body,
    )


def canceled(code: str, request: Request, turn: int) -> Answer:
    """A transaction stopped at one of its items; which one, changes with the turn."""
    reasons: list[dict[str, str]] = [{"Code": "None"} for _ in request.document["TransactItems"]]
    reasons[turn % len(reasons)] = {"Code": code, "Message": REASONS[code]}
    codes = ", ".join(reason["Code"] for reason in reasons)
    message = (
        f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]"
    )
    return error(
        f"{MODEL}#TransactionCanceledException",
        {"CancellationReasons": reasons, "Message": message},
    )


def in_progress(request: Request, turn: int) -> Answer:
    message = "Transaction from previous request is still in progress"
    return error(f"{MODEL}#TransactionInProgressException", {"Message": message})


def conflict(request: Request, turn: int) -> Answer:
    message = REASONS["TransactionConflict"]
    return error(f"{MODEL}#TransactionConflictException", {"message": message})


def throughput_exceeded(request: Request, turn: int) -> Answer:
    message = f"{REASONS['ProvisionedThroughputExceeded']}."
    return error(f"{MODEL}#ProvisionedThroughputExceededException", {"message": message})


def throttled(request: Request, turn: int) -> Answer:
    return error(f"{CORAL}#ThrottlingException", {"message": REASONS["ThrottlingError"]})


Way = Callable[[Request, int], Answer]

TRANSACTION: Final[tuple[Way, ...]] = (
    partial(canceled, "TransactionConflict"),
    partial(canceled, "ThrottlingError"),
    partial(canceled, "TransactionConflict"),
    partial(canceled, "ProvisionedThroughputExceeded"),
    partial(canceled, "TransactionConflict"),
    in_progress,
)
WRITE: Final[tuple[Way, ...]] = (conflict, conflict, throughput_exceeded)
READ: Final[tuple[Way, ...]] = (throttled, throughput_exceeded)

WAYS: Final[Mapping[str, tuple[Way, ...]]] = {
    "TransactWriteItems": TRANSACTION,
    "PutItem": WRITE,
    "UpdateItem": WRITE,
    "DeleteItem": WRITE,
    "GetItem": READ,
    "Query": READ,
}
"""How each operation is refused, in turn: conflicts more often, as in life, and as they cost less
time. After throttling the SDK waits up to a second before it tries again."""


class Busy:
    """A rule: of every so many requests of an operation one is refused, every other one twice.

    Which ones only depends on the order in which they come; the first is among them. A request
    that comes again after that is let through: a client that tries again as often as it should
    always gets there, so whatever still fails is a fault of the client.
    """

    def __init__(self, one_in: Mapping[str, int]) -> None:
        self._one_in = one_in
        self._lock = threading.Lock()
        self._asked: Counter[str] = Counter()
        self._chosen: Counter[str] = Counter()
        self._turns: Counter[str] = Counter()
        self._left: dict[bytes, int] = {}
        """Of requests that were refused and will come again: how often they are still refused."""

    def __call__(self, request: Request) -> Fate:
        operation = request.operation
        if request.service != "dynamodb" or operation not in self._one_in:
            return PASS
        with self._lock:
            if not self._refuses(operation, _identity(request)):
                return PASS
            turn = self._turns[operation]
            self._turns[operation] += 1
        ways = WAYS[operation]
        return ways[turn % len(ways)](request, turn)

    def _refuses(self, operation: str, identity: bytes) -> bool:
        if identity in self._left:
            left = self._left.pop(identity)
            if left:
                self._left[identity] = left - 1
            return left > 0
        number = self._asked[operation]
        self._asked[operation] += 1
        if number % self._one_in[operation]:
            return False
        self._left[identity] = self._chosen[operation] % 2
        self._chosen[operation] += 1
        return True


def _identity(request: Request) -> bytes:
    """What stays the same when a request is tried again: all but the token of the SDK."""
    document = request.document
    document.pop("ClientRequestToken", None)
    return f"{request.operation} {json.dumps(document)}".encode()
