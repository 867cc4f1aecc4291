"""A DynamoDB client that meets what the emulator never raises: conflicts and throttling.

Every operation is refused twice before it is done, each time in another of the ways that DynamoDB
has for it.
"""

from collections import Counter
from collections.abc import Callable
from itertools import cycle
from threading import Lock
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SINGLE = ("ProvisionedThroughputExceededException", "TransactionConflictException")
READ = ("ThrottlingException", "RequestLimitExceeded")
REASONS = ("TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded")


def refused(operation: str, code: str, reasons: list[dict[str, str]] | None = None) -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": "busy"}}
    if reasons is not None:
        response["CancellationReasons"] = reasons
    return ClientError(response, operation)


class BusyClient:
    """The operations that the store uses, each refused twice for every time it is done."""

    def __init__(self, client: "DynamoDBClient") -> None:
        self._client = client
        self._lock = Lock()
        self._turns: Counter[str] = Counter()
        self._reasons = cycle(REASONS)

    def _done(self, operation: str, codes: tuple[str, ...], do: Callable[[], Any]) -> Any:
        with self._lock:
            turn = self._turns[operation] % 3
            self._turns[operation] += 1
        if turn < len(codes):
            raise refused(operation, codes[turn])
        return do()

    def get_item(self, **request: Any) -> Any:
        return self._done("GetItem", READ, lambda: self._client.get_item(**request))

    def query(self, **request: Any) -> Any:
        return self._done("Query", READ, lambda: self._client.query(**request))

    def transact_get_items(self, TransactItems: list[Any]) -> Any:  # noqa: N803  # the SDK's name
        with self._lock:
            turn = self._turns["TransactGetItems"] % 2
            self._turns["TransactGetItems"] += 1
        if turn == 0:
            reasons = [{"Code": "None"} for _ in TransactItems]
            reasons[-1] = {"Code": "TransactionConflict"}
            raise refused("TransactGetItems", "TransactionCanceledException", reasons)
        return self._client.transact_get_items(TransactItems=TransactItems)

    def batch_get_item(self, RequestItems: Any) -> Any:  # noqa: N803  # the SDK's name
        """What it does at last it does by halves: every third key is left for another time."""
        ((table, wanted),) = RequestItems.items()
        keys = wanted["Keys"]
        done = {table: wanted | {"Keys": keys[len(keys) // 3 :]}}
        left = {table: wanted | {"Keys": keys[: len(keys) // 3]}} if len(keys) >= 3 else {}
        answer = self._done(
            "BatchGetItem", READ, lambda: self._client.batch_get_item(RequestItems=done)
        )
        return answer | {"UnprocessedKeys": left}

    def put_item(self, **request: Any) -> Any:
        return self._done("PutItem", SINGLE, lambda: self._client.put_item(**request))

    def update_item(self, **request: Any) -> Any:
        return self._done("UpdateItem", SINGLE, lambda: self._client.update_item(**request))

    def transact_write_items(self, TransactItems: list[Any]) -> Any:  # noqa: N803  # the SDK's name
        with self._lock:
            turn = self._turns["TransactWriteItems"] % 3
            self._turns["TransactWriteItems"] += 1
            reason = next(self._reasons)
        if turn == 0:
            reasons = [{"Code": "None"} for _ in TransactItems]
            reasons[-1] = {"Code": reason}
            raise refused("TransactWriteItems", "TransactionCanceledException", reasons)
        if turn == 1:
            raise refused("TransactWriteItems", "TransactionInProgressException")
        return self._client.transact_write_items(TransactItems=TransactItems)

    def scan(self, **request: Any) -> Any:
        return self._done("Scan", READ, lambda: self._client.scan(**request))
