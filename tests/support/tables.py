"""The tables of template.yaml, made anywhere: the contract tests run on the real keys."""

from functools import cache
from typing import TYPE_CHECKING, Any

from samtranslator.yaml_helper import yaml_parse

from florin.adapters.dynamodb import Tables
from infra.paths import ROOT

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

COPIED = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")


@cache
def _tables() -> dict[str, Any]:
    resources = yaml_parse((ROOT / "template.yaml").read_text())["Resources"]
    return {
        name: resource["Properties"]
        for name, resource in resources.items()
        if resource["Type"] == "AWS::DynamoDB::Table"
    }


def make_table(client: "DynamoDBClient", logical_id: str, suffix: str) -> str:
    """Make a table of the template without encryption, stream and policy; answer its name."""
    name = f"{logical_id}-{suffix}"
    wanted = {key: value for key, value in _tables()[logical_id].items() if key in COPIED}
    client.create_table(TableName=name, BillingMode="PAY_PER_REQUEST", **wanted)
    return name


def make_tables(client: "DynamoDBClient", suffix: str) -> Tables:
    """Make the tables that the event store and the books need."""
    return Tables(
        events=make_table(client, "EventsTable", suffix),
        idempotency=make_table(client, "IdempotencyTable", suffix),
        accounts=make_table(client, "AccountsTable", suffix),
        views=make_table(client, "ViewsTable", suffix),
    )
