"""What verification is told of tables that were tampered with."""

from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from florin.adapters.dynamodb_config import DynamoConfig
from florin.adapters.dynamodb_verification import DynamoVerification
from tests.support.examples import accepted_payment
from tests.support.tables import make_table, make_tables


@pytest.fixture
def store() -> Iterator[DynamoVerification]:
    with mock_aws():
        client = boto3.client("dynamodb")
        runs_table = make_table(client, "VerificationsTable", "test")
        yield DynamoVerification(client, make_tables(client, "test"), runs_table)


@pytest.mark.parametrize(
    ("attribute", "text"), [("data", "{}"), ("type", "payment.unheard_of"), ("hash", "0" * 64)]
)
def test_a_row_that_was_changed_breaks_the_seal(
    store: DynamoVerification, attribute: str, text: str
) -> None:
    payment_id = accepted_payment(store)
    boto3.client("dynamodb").update_item(
        TableName="EventsTable-test",
        Key={"stream": {"S": payment_id}, "version": {"N": "1"}},
        UpdateExpression="SET #attribute = :text",
        ExpressionAttributeNames={"#attribute": attribute},
        ExpressionAttributeValues={":text": {"S": text}},
    )
    sealed = store.sealed(payment_id)
    assert sealed.broken_at == 1
    assert len(sealed.events) == (1 if attribute == "hash" else 0)


def test_all_tenants_are_known() -> None:
    with mock_aws():
        client = boto3.client("dynamodb")
        table = make_table(client, "ConfigTable", "test")
        for id_, tenant_id in (("tenant#a", "a"), ("api_key#x", "a"), ("tenant#b", "b")):
            item = {"id": {"S": id_}, "tenant_id": {"S": tenant_id}, "text": {"S": "x" * 300_000}}
            client.put_item(TableName=table, Item=item)
        for number in range(4):  # more than a page
            item = {"id": {"S": f"provider#{number}"}, "text": {"S": "x" * 390_000}}
            client.put_item(TableName=table, Item=item)
        assert sorted(DynamoConfig(client, table).tenant_ids()) == ["a", "b"]
