"""How a tenant's fees stand in the config table, and what cannot be meant."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws

from florin.adapters.dynamodb_config import DynamoConfig
from florin.domain.fees import FeeOnRefund, FeeSchedule
from florin.ports import ConfigurationError
from infra.seed import Tenant, config_items, put_items
from tests.support.tables import make_table

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

FULL = {
    "fee_basis_points": 250,
    "fee_basis_points_in": {"JPY": 360, "USD": 0},
    "fee_fixed_minor": {"USD": 30, "KWD": 100},
    "fee_on_refund": "keep",
}


class Table:
    """The config table with one tenant in it."""

    def __init__(self, client: "DynamoDBClient") -> None:
        self._client = client
        self._name = make_table(client, "ConfigTable", "test")
        self.config = DynamoConfig(client, self._name)

    def fees(self, **attributes: Any) -> FeeSchedule:
        """The schedule that is read of an item with these attributes, whatever is seeded."""
        items = config_items((Tenant("tn_1", "Silks", "sk_test_1"),), "black", "http://here")
        seeded = next(item for item in items if item["id"] == "tenant#tn_1")
        bare = {name: value for name, value in seeded.items() if not name.startswith("fee_")}
        put_items(self._client, self._name, [bare | attributes])
        tenant = self.config.tenant("tn_1")
        assert tenant is not None
        return tenant.fees


@pytest.fixture
def table() -> Iterator[Table]:
    with mock_aws():
        yield Table(boto3.client("dynamodb", region_name="us-east-1"))


def test_a_schedule_comes_back_whole(table: Table) -> None:
    assert table.fees(**FULL) == FeeSchedule(
        basis_points=250,
        basis_points_in={"JPY": 360, "USD": 0},
        fixed_minor={"USD": 30, "KWD": 100},
        on_refund=FeeOnRefund.KEEP,
    )


def test_items_from_before_there_was_more_to_say_are_read(table: Table) -> None:
    old = table.fees(fee_basis_points=300, fee_fixed_minor={"EUR": 25})
    assert old == FeeSchedule(
        basis_points=300, fixed_minor={"EUR": 25}, on_refund=FeeOnRefund.PROPORTIONAL
    )
    assert table.fees(fee_basis_points=0) == FeeSchedule(basis_points=0)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"fee_basis_points": 10_001}, "0 to 10000 basis points: 10001"),
        ({"fee_basis_points": -1}, "0 to 10000 basis points: -1"),
        ({"fee_basis_points": "3 %"}, "KeyError"),
        ({"fee_basis_points_in": {"JPY": 10_001}}, "0 to 10000 basis points: 10001"),
        ({"fee_basis_points_in": {"FLN": 1}}, "a currency that is not known: FLN"),
        ({"fee_fixed_minor": {"usd": 1}}, "a currency that is not known: usd"),
        ({"fee_fixed_minor": {"USD": -1}}, "a fee is not negative: -1"),
        ({"fee_fixed_minor": 30}, "KeyError"),
        ({"fee_on_refund": "sometimes"}, "'sometimes' is not a valid FeeOnRefund"),
    ],
)
def test_what_cannot_be_meant_is_refused(table: Table, wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match="the fees of tenant tn_1: ") as refused:
        table.fees(**FULL | wrong)
    assert said in str(refused.value)


def test_the_percentage_of_all_currencies_is_looked_at_too(table: Table) -> None:
    with pytest.raises(ConfigurationError, match="0 to 10000 basis points: 10001"):
        table.fees(fee_basis_points=10_001)


def test_fees_have_to_be_there(table: Table) -> None:
    with pytest.raises(ConfigurationError, match="fee_basis_points"):
        table.fees(fee_fixed_minor={})


def test_an_unknown_tenant_has_none(table: Table) -> None:
    assert table.config.tenant("tn_2") is None
