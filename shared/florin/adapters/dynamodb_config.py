"""Tenants and provider routes in the config table, an item each, by `id`.

The fees of a tenant are four attributes of its item:

    fee_basis_points      the percentage, in hundredths of a per cent: 300
    fee_basis_points_in   another percentage for some currencies: {"JPY": 360}
    fee_fixed_minor       what is added once per payment, in minor units: {"USD": 30, "KWD": 100}
    fee_on_refund         "proportional": a refund gives back its share of the fee; or "keep"

Only the first one has to be there. `gateway_key` is what API Gateway counts the tenant's calls by.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from florin.adapters.patience import Patience
from florin.domain.fees import FeeOnRefund, FeeSchedule
from florin.ports import ConfigurationError, ProviderRoute, Tenant

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class DynamoConfig:
    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table
        self._patiently = Patience()

    def tenant(self, tenant_id: str) -> Tenant | None:
        item = self._item(f"tenant#{tenant_id}")
        if item is None:
            return None
        try:
            fees = _fees(item)
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigurationError(f"the fees of tenant {tenant_id}: {error!r}") from error
        return Tenant(
            tenant_id=item["tenant_id"]["S"],
            name=item["name"]["S"],
            mode=item["mode"]["S"],
            fees=fees,
            provider=item["provider"]["S"],
        )

    def gateway_key(self, tenant_id: str) -> str | None:
        item = self._item(f"tenant#{tenant_id}")
        return item["gateway_key"]["S"] if item and "gateway_key" in item else None

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
            page = self._patiently(lambda: self._client.scan(**request))
            for item in page["Items"]:
                yield item["tenant_id"]["S"]
            if "LastEvaluatedKey" not in page:
                return
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def _item(self, item_id: str) -> Any:
        key = {"id": {"S": item_id}}
        answer = self._patiently(lambda: self._client.get_item(TableName=self._table, Key=key))
        return answer.get("Item")


def _fees(item: Any) -> FeeSchedule:
    """The schedule of a tenant, also of one stored when there was less to say."""
    on_refund = item["fee_on_refund"]["S"] if "fee_on_refund" in item else FeeOnRefund.PROPORTIONAL
    return FeeSchedule(
        basis_points=int(item["fee_basis_points"]["N"]),
        basis_points_in=_by_currency(item, "fee_basis_points_in"),
        fixed_minor=_by_currency(item, "fee_fixed_minor"),
        on_refund=FeeOnRefund(on_refund),
    )


def _by_currency(item: Any, name: str) -> dict[str, int]:
    if name not in item:
        return {}
    return {currency: int(number["N"]) for currency, number in item[name]["M"].items()}
