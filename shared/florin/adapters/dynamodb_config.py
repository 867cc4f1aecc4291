"""Tenants, API keys and provider routes in the config table, an item each, by `id`."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from florin.ports import ApiKey, FeeSchedule, ProviderRoute, Tenant

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class DynamoConfig:
    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def tenant(self, tenant_id: str) -> Tenant | None:
        item = self._item(f"tenant#{tenant_id}")
        if item is None:
            return None
        fixed = item["fee_fixed_minor"]["M"]
        return Tenant(
            tenant_id=item["tenant_id"]["S"],
            name=item["name"]["S"],
            mode=item["mode"]["S"],
            fees=FeeSchedule(
                basis_points=int(item["fee_basis_points"]["N"]),
                fixed_minor={currency: int(minor["N"]) for currency, minor in fixed.items()},
            ),
            provider=item["provider"]["S"],
        )

    def api_key(self, key_hash: str) -> ApiKey | None:
        item = self._item(f"api_key#{key_hash}")
        if item is None:
            return None
        return ApiKey(
            tenant_id=item["tenant_id"]["S"], mode=item["mode"]["S"], role=item["role"]["S"]
        )

    def provider_route(self, name: str) -> ProviderRoute | None:
        item = self._item(f"provider#{name}")
        return None if item is None else ProviderRoute(name=name, url=item["url"]["S"])

    def tenant_ids(self) -> Iterator[str]:
        """All tenants, in no order."""
        request: dict[str, Any] = {
            "TableName": self._table,
            "FilterExpression": "begins_with(id, :tenant)",
            "ExpressionAttributeValues": {":tenant": {"S": "tenant#"}},
            "ProjectionExpression": "tenant_id",
        }
        while True:
            page = self._client.scan(**request)
            for item in page["Items"]:
                yield item["tenant_id"]["S"]
            if "LastEvaluatedKey" not in page:
                return
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def _item(self, item_id: str) -> Any:
        answer = self._client.get_item(TableName=self._table, Key={"id": {"S": item_id}})
        return answer.get("Item")
