"""What the DynamoDB store does when others write between its read and its write."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import boto3
import pytest
from moto import mock_aws

from florin.adapters.dynamodb import Dynamo, Tables
from florin.domain.chart import wallet
from florin.domain.history import Draft
from florin.domain.ledger import Leg, Side
from florin.domain.money import Money
from florin.domain.payment import PaymentRiskAssessed, RiskDecision
from florin.ports import AccountKey, Appended, Batch, ContentionError, Line, PaymentQuery
from florin.projection import Projector
from tests.support.busy import refused
from tests.support.examples import NOON, TENANT, accepted_payment, opened_account
from tests.support.tables import make_tables

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class Interrupted:
    """A client that lets somebody else go first before its next transaction."""

    def __init__(self, client: "DynamoDBClient") -> None:
        self._client = client
        self.meanwhile: Callable[[], object] = lambda: None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def transact_write_items(self, **request: Any) -> Any:
        meanwhile, self.meanwhile = self.meanwhile, lambda: None
        meanwhile()
        return self._client.transact_write_items(**request)


class Reluctant:
    """A client that leaves every key of a batch for another time."""

    def __init__(self, client: "DynamoDBClient") -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def batch_get_item(self, **request: Any) -> Any:
        return {"Responses": {}, "UnprocessedKeys": request["RequestItems"]}


@pytest.fixture
def client() -> Iterator["DynamoDBClient"]:
    with mock_aws():
        yield boto3.client("dynamodb")


@pytest.fixture
def tables(client: "DynamoDBClient") -> Tables:
    return make_tables(client, "test")


def store(client: object, tables: Tables) -> Dynamo:
    return Dynamo(cast("DynamoDBClient", client), tables, pause=lambda _: None)


def test_a_line_gets_the_number_after_the_one_that_came_in_between(
    client: "DynamoDBClient", tables: Tables
) -> None:
    other, interrupted = store(client, tables), Interrupted(client)
    account = wallet(opened_account(other))
    key = AccountKey(tenant_id=TENANT, account=account, currency="EUR")

    def line(entry_id: str, minor: int) -> Line:
        leg = Leg(account=account, side=Side.CREDIT, amount=Money(minor, "EUR"))
        return Line(entry_id=entry_id, leg=leg, recorded_at=NOON)

    interrupted.meanwhile = lambda: other.post(key, [line("pay_1:6", 100)])
    store(interrupted, tables).post(key, [line("pay_2:6", 30)])
    statement = other.statement(key, limit=10)
    assert [(entry.number, entry.balance_after_minor) for entry in statement] == [
        (2, 130),
        (1, 100),
    ]


class Refusing(Interrupted):
    """A client whose transactions always meet another one."""

    def transact_write_items(self, **request: Any) -> Any:
        reasons = [{"Code": "TransactionConflict"} for _ in request["TransactItems"]]
        raise refused("TransactWriteItems", "TransactionCanceledException", reasons)


def test_a_conflict_without_end_writes_nothing_and_says_so(
    client: "DynamoDBClient", tables: Tables
) -> None:
    with pytest.raises(ContentionError):
        accepted_payment(store(Refusing(client), tables))
    assert client.scan(TableName=tables.events)["Count"] == 0
    assert client.scan(TableName=tables.idempotency)["Count"] == 0


def test_the_sdks_own_repetition_of_a_put_is_no_conflict(
    client: "DynamoDBClient", tables: Tables
) -> None:
    """A put whose answer was lost is sent again by the SDK, and meets what it has written."""

    class Repeating(Interrupted):
        def put_item(self, **request: Any) -> Any:
            self._client.put_item(**request)
            return self._client.put_item(**request)

    plain = store(client, tables)
    payment_id = accepted_payment(plain)
    fact = PaymentRiskAssessed(decision=RiskDecision.ALLOW, assessor="pass")
    batch = Batch(
        stream=payment_id,
        tenant_id=TENANT,
        after=plain.read(payment_id).head,
        drafts=(Draft(event=fact),),
        at=NOON,
        execution="arn:mine",
    )
    assert isinstance(store(Repeating(client), tables).append(batch), Appended)
    other = replace(batch, execution="arn:another")
    assert not isinstance(plain.append(other), Appended)


def test_a_page_whose_views_are_never_read_is_not_told_as_an_empty_one(
    client: "DynamoDBClient", tables: Tables
) -> None:
    own = store(client, tables)
    Projector(store=own, books=own).project([accepted_payment(own)])
    with pytest.raises(ContentionError):
        store(Reluctant(client), tables).payments(PaymentQuery(tenant_id=TENANT, limit=10))
