"""Dead letters in a table of their own.

    id = dl_…     a letter; index by_tenant: tenant_id, listed = first seen and id
    id = rdr_…    what one request to redrive did; in no index

A letter of which nobody knows whose it is stands under the tenant "-". The index leaves out the
payload, which is most of an item.
"""

import heapq
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from florin.adapters.aws import error_code
from florin.adapters.patience import Patience
from florin.ports import Arrival, DeadLetter, LetterFilter, LetterState, RedriveRecord

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Item = dict[str, Any]

NOBODY: Final = "-"
"""The tenant of what belongs to none: an index key must not be empty."""
FAILED: Final = "ConditionalCheckFailedException"


class DynamoDeadLetters:
    def __init__(
        self, client: "DynamoDBClient", table: str, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self._client = client
        self._table = table
        self._patiently = Patience(pause)

    def arrive(self, arrival: Arrival, at: datetime) -> bool:
        values = {
            ":message": {"S": arrival.message_id},
            ":hop": {"S": arrival.hop},
            ":cause": {"S": arrival.cause},
            ":payload": {"S": arrival.payload},
            ":tenant": {"S": arrival.tenant_id or NOBODY},
            ":at": _time(at),
            ":listed": {"S": _listed(at, arrival.letter_id)},
            ":open": {"S": LetterState.OPEN},
            ":zero": {"N": "0"},
            ":one": {"N": "1"},
        }
        sets = [
            *("last_message = :message", "hop = :hop", "cause = :cause", "payload = :payload"),
            "tenant_id = if_not_exists(tenant_id, :tenant)",
            "listed = if_not_exists(listed, :listed)",
            "first_seen = if_not_exists(first_seen, :at)",
            "last_seen = :at",
            "#state = :open",
            "redrives = if_not_exists(redrives, :zero)",
        ]
        if arrival.stream is not None:
            sets.append("#stream = :stream")
            values[":stream"] = {"S": arrival.stream}
        if arrival.version is not None:
            sets.append("version = :version")
            values[":version"] = {"N": str(arrival.version)}
        names = {"#state": "state"} | ({"#stream": "stream"} if arrival.stream else {})
        kept = self._update(
            arrival.letter_id,
            f"SET {', '.join(sets)} ADD seen :one, revision :one",
            "attribute_not_exists(id) OR last_message <> :message",
            values,
            names,
        )
        return kept is not None

    def letter(self, letter_id: str) -> DeadLetter | None:
        item = self._get(letter_id)
        return None if item is None else _letter(item)

    def letters(
        self,
        owners: Sequence[str | None],
        wanted: LetterFilter,
        *,
        limit: int,
        after: DeadLetter | None = None,
        oldest_first: bool = False,
    ) -> Sequence[DeadLetter]:
        found = heapq.merge(
            *(self._of(owner, wanted, limit, after, oldest_first) for owner in owners),
            key=lambda item: str(item["listed"]["S"]),
            reverse=not oldest_first,
        )
        return tuple(_letter(item) for item in islice(found, limit))

    def _of(
        self,
        owner: str | None,
        wanted: LetterFilter,
        limit: int,
        after: DeadLetter | None,
        oldest_first: bool,
    ) -> Iterator[Item]:
        names: dict[str, str] = {}
        values: Item = {":tenant": {"S": owner or NOBODY}}
        key = "tenant_id = :tenant"
        if after is not None:
            key += f" AND listed {'>' if oldest_first else '<'} :after"
            values[":after"] = {"S": _listed(after.first_seen, after.letter_id)}
        conditions = []
        for name in ("hop", "state", "stream"):
            if (value := getattr(wanted, name)) is not None:
                conditions.append(f"#{name} = :{name}")
                names[f"#{name}"], values[f":{name}"] = name, {"S": value}
        if wanted.cause:
            conditions.append("begins_with(cause, :cause)")
            values[":cause"] = {"S": wanted.cause}
        request: Any = {
            "TableName": self._table,
            "IndexName": "by_tenant",
            "KeyConditionExpression": key,
            "ExpressionAttributeValues": values,
            "ScanIndexForward": oldest_first,
            # With a filter a page may hold less than it read, so pages are not kept small then.
            **({"FilterExpression": " AND ".join(conditions)} if conditions else {"Limit": limit}),
            **({"ExpressionAttributeNames": names} if names else {}),
        }
        while True:
            answer = self._patiently(lambda: self._client.query(**request))
            yield from answer["Items"]
            if "LastEvaluatedKey" not in answer:
                return
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def count_redrive(self, letter: DeadLetter) -> DeadLetter | None:
        counted = self._update(
            letter.letter_id,
            "ADD redrives :one, revision :one",
            "revision = :read",
            {":one": {"N": "1"}, ":read": {"N": str(letter.revision)}},
        )
        return None if counted is None else _letter(counted)

    def close(self, letter: DeadLetter) -> bool:
        closed = self._update(
            letter.letter_id,
            "SET #state = :redriven ADD revision :one",
            "revision = :read",
            {
                ":redriven": {"S": LetterState.REDRIVEN},
                ":one": {"N": "1"},
                ":read": {"N": str(letter.revision)},
            },
            {"#state": "state"},
        )
        return closed is not None

    def keep(self, record: RedriveRecord) -> None:
        item: Item = {
            "id": {"S": record.redrive_id},
            "tenant_id": {"S": record.tenant_id},
            "created_at": _time(record.created_at),
            "letters": {
                "L": [
                    {"L": [{"S": letter_id}, {"S": state}]} for letter_id, state in record.letters
                ]
            },
            "has_more": {"BOOL": record.has_more},
        }
        self._patiently(lambda: self._client.put_item(TableName=self._table, Item=item))

    def record(self, redrive_id: str) -> RedriveRecord | None:
        item = self._get(redrive_id)
        if item is None:
            return None
        return RedriveRecord(
            redrive_id=redrive_id,
            tenant_id=item["tenant_id"]["S"],
            created_at=datetime.fromisoformat(item["created_at"]["S"]),
            letters=tuple(
                (pair["L"][0]["S"], LetterState(pair["L"][1]["S"])) for pair in item["letters"]["L"]
            ),
            has_more=item["has_more"]["BOOL"],
        )

    def _get(self, item_id: str) -> Item | None:
        key = {"id": {"S": item_id}}
        answer: Any = self._patiently(
            lambda: self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True)
        )
        found: Item | None = answer.get("Item")
        return found

    def _update(
        self,
        item_id: str,
        expression: str,
        condition: str,
        values: Item,
        names: dict[str, str] | None = None,
    ) -> Item | None:
        """Update one item; the item as it is then, or None if the condition did not hold."""
        request: Any = {
            "TableName": self._table,
            "Key": {"id": {"S": item_id}},
            "UpdateExpression": expression,
            "ConditionExpression": condition,
            "ExpressionAttributeValues": values,
            "ReturnValues": "ALL_NEW",
        }
        if names:
            request["ExpressionAttributeNames"] = names
        try:
            answer: Any = self._patiently(lambda: self._client.update_item(**request))
        except ClientError as error:
            if error_code(error) != FAILED:
                raise
            return None
        changed: Item = answer["Attributes"]
        return changed


def _time(moment: datetime) -> Item:
    return {"S": moment.isoformat(timespec="milliseconds")}


def _listed(first_seen: datetime, letter_id: str) -> str:
    return f"{first_seen.isoformat(timespec='milliseconds')}#{letter_id}"


def _letter(item: Item) -> DeadLetter:
    tenant_id = item["tenant_id"]["S"]
    return DeadLetter(
        letter_id=item["id"]["S"],
        hop=item["hop"]["S"],
        cause=item["cause"]["S"],
        payload=item["payload"]["S"] if "payload" in item else "",
        tenant_id=None if tenant_id == NOBODY else tenant_id,
        stream=item["stream"]["S"] if "stream" in item else None,
        version=int(item["version"]["N"]) if "version" in item else None,
        first_seen=datetime.fromisoformat(item["first_seen"]["S"]),
        last_seen=datetime.fromisoformat(item["last_seen"]["S"]),
        seen=int(item["seen"]["N"]),
        state=LetterState(item["state"]["S"]),
        redrives=int(item["redrives"]["N"]),
        revision=int(item["revision"]["N"]),
    )
