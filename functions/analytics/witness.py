"""What analytics has counted tells which events came through the bus: it marks each of them."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any, Final

from analytics.handler import seen_key
from florin.edge.answers import PUBLIC_TYPES

TOLD: Final = frozenset(name for name in PUBLIC_TYPES if name.startswith("payment."))
"""The events that analytics is told of: its rule on the bus picks them by this prefix."""

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class CountedEvents:
    """The marks in the table of analytics, at most 100 asked for at once."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def heard_of(self, event_ids: Sequence[str]) -> AbstractSet[str]:
        found: set[str] = set()
        wanted: Any = {self._table: {"Keys": [seen_key(event_id) for event_id in event_ids]}}
        while wanted:
            answer: Any = self._client.batch_get_item(RequestItems=wanted)
            found.update(
                item["id"]["S"].partition("#")[2] for item in answer["Responses"][self._table]
            )
            wanted = answer.get("UnprocessedKeys")
        return found
