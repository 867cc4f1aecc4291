"""API keys in the config table, an item each: `id` is `api_key#key_…`.

The index `by_tenant` holds nothing but keys: no other item of the table has a `key_of`.
"""

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from florin.adapters.aws import error_code
from florin.adapters.patience import Patience, StoppedError, stopped
from florin.domain.keys import ApiKey, Role, Scope
from florin.ports import LAST_USE_KEPT_EVERY

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Item = dict[str, Any]

FAILED: Final = "ConditionalCheckFailedException"
PREFIX: Final = "api_key#"
TIMES: Final = ("expires_at", "retires_at", "revoked_at", "last_used_at")
TEXTS: Final = ("created_by", "rolled_from", "rolled_to")
CHANGING: Final = ("retires_at", "revoked_at", "rolled_to")
"""What a change of a key may set; nothing is ever taken back."""


class DynamoKeys:
    def __init__(
        self, client: "DynamoDBClient", table: str, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self._client = client
        self._table = table
        self._patiently = Patience(pause)

    def api_key(self, key_id: str) -> ApiKey | None:
        answer = self._patiently(
            lambda: self._client.get_item(
                TableName=self._table, Key=_key(key_id), ConsistentRead=True
            )
        )
        return _api_key(answer["Item"]) if "Item" in answer else None

    def api_keys(self, tenant_id: str, *, limit: int, after: str | None = None) -> Sequence[ApiKey]:
        condition, values = "key_of = :tenant", {":tenant": {"S": tenant_id}}
        if after is not None:
            condition += " AND id < :after"
            values[":after"] = {"S": PREFIX + after}
        answer = self._patiently(
            lambda: self._client.query(
                TableName=self._table,
                IndexName="by_tenant",
                KeyConditionExpression=condition,
                ExpressionAttributeValues=values,
                ScanIndexForward=False,
                Limit=limit,
            )
        )
        return tuple(_api_key(item) for item in answer["Items"])

    def add(self, key: ApiKey, predecessor: ApiKey | None = None) -> bool:
        put = {
            "TableName": self._table,
            "Item": _item(key),
            "ConditionExpression": "attribute_not_exists(id)",
        }
        items: list[Any] = [{"Put": put}]
        if predecessor is not None:
            items.append({"Update": self._change(predecessor)})

        def write() -> bool:
            try:
                self._client.transact_write_items(TransactItems=items)
            except ClientError as error:
                reasons: Any = error.response.get("CancellationReasons", ())
                if any(reason.get("Code") == "ConditionalCheckFailed" for reason in reasons):
                    return False
                if stopped(error):
                    raise StoppedError from error
                raise
            return True

        return self._patiently(write)

    def change(self, key: ApiKey) -> bool:
        try:
            self._patiently(lambda: self._client.update_item(**self._change(key)))
        except ClientError as error:
            if error_code(error) == FAILED:
                return False
            raise
        return True

    def _change(self, key: ApiKey) -> Any:
        attributes = _item(key)
        set_to = {name: attributes[name] for name in CHANGING if name in attributes}
        sets = "".join(f", {name} = :{name}" for name in set_to)
        return {
            "TableName": self._table,
            "Key": _key(key.key_id),
            "UpdateExpression": f"SET version = :next{sets}",
            "ConditionExpression": "version = :version",
            "ExpressionAttributeValues": {
                ":version": {"N": str(key.version)},
                ":next": {"N": str(key.version + 1)},
                **{f":{name}": value for name, value in set_to.items()},
            },
        }

    def used(self, key: ApiKey, at: datetime, secret_hash: str) -> None:
        said: Any = {
            "TableName": self._table,
            "Key": _key(key.key_id),
            "UpdateExpression": "SET last_used_at = :at, secret_hash = :hash",
            "ConditionExpression": "secret_hash = :known"
            " AND (attribute_not_exists(last_used_at) OR last_used_at <= :before)",
            "ExpressionAttributeValues": {
                ":at": _time(at),
                ":before": _time(at - LAST_USE_KEPT_EVERY),
                ":hash": {"S": secret_hash},
                ":known": {"S": key.secret_hash},
            },
        }
        try:
            self._patiently(lambda: self._client.update_item(**said))
        except ClientError as error:
            if error_code(error) != FAILED:  # or somebody else said so
                raise


def _key(key_id: str) -> Item:
    return {"id": {"S": PREFIX + key_id}}


def _time(at: datetime) -> Item:
    return {"S": at.isoformat(timespec="milliseconds")}


def _item(key: ApiKey) -> Item:
    item: Item = {
        **_key(key.key_id),
        "key_of": {"S": key.tenant_id},
        "mode": {"S": key.mode},
        "name": {"S": key.name},
        "secret_hash": {"S": key.secret_hash},
        "created_at": _time(key.created_at),
        "scopes": {"L": [{"S": scope} for scope in sorted(key.scopes)]},
        "allowed_addresses": {"L": [{"S": text} for text in key.allowed_addresses]},
        "version": {"N": str(key.version)},
    }
    if key.role is not None:
        item["role"] = {"S": key.role}
    for name in TIMES:
        if (at := getattr(key, name)) is not None:
            item[name] = _time(at)
    for name in TEXTS:
        if (text := getattr(key, name)) is not None:
            item[name] = {"S": text}
    return item


def _api_key(item: Item) -> ApiKey:
    return ApiKey(
        key_id=item["id"]["S"].removeprefix(PREFIX),
        tenant_id=item["key_of"]["S"],
        mode=item["mode"]["S"],
        name=item["name"]["S"],
        secret_hash=item["secret_hash"]["S"],
        created_at=datetime.fromisoformat(item["created_at"]["S"]),
        role=Role(item["role"]["S"]) if "role" in item else None,
        scopes=frozenset(Scope(scope["S"]) for scope in item["scopes"]["L"]),
        allowed_addresses=tuple(text["S"] for text in item["allowed_addresses"]["L"]),
        version=int(item["version"]["N"]),
        created_by=_text(item, "created_by"),
        rolled_from=_text(item, "rolled_from"),
        rolled_to=_text(item, "rolled_to"),
        expires_at=_moment(item, "expires_at"),
        retires_at=_moment(item, "retires_at"),
        revoked_at=_moment(item, "revoked_at"),
        last_used_at=_moment(item, "last_used_at"),
    )


def _text(item: Item, name: str) -> str | None:
    return item[name]["S"] if name in item else None


def _moment(item: Item, name: str) -> datetime | None:
    return datetime.fromisoformat(item[name]["S"]) if name in item else None
