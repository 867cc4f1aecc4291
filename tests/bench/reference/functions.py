"""The functions of both designs."""

from collections.abc import Callable, Mapping
from typing import Any

Item = dict[str, Any]
Step = Callable[[Any, Item], None]


def put(kind: str) -> Step:
    """A step that writes an item of this kind."""

    def step(client: Any, event: Item) -> None:
        item = _item(event["payment_id"], kind) | {"status": {"S": "pending"}}
        client.put_item(TableName="reference", Item=item)

    return step


def confirm(kind: str) -> Step:
    """A step that changes what another step wrote."""

    def step(client: Any, event: Item) -> None:
        client.update_item(
            TableName="reference",
            Key=_item(event["payment_id"], kind),
            UpdateExpression="SET #status = :confirmed",
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues={":confirmed": {"S": "confirmed"}},
        )

    return step


SAGA: Mapping[str, Step] = {
    "reserve_order": put("order"),
    "reserve_funds": put("funds"),
    "take_payment": put("payment"),
    "confirm_funds": confirm("funds"),
    "confirm_order": confirm("order"),
}


def start(client: Any, payment_id: str) -> None:
    """The function behind the gateway of the saga: it starts an execution."""
    client.start_execution(
        stateMachineArn="reference", name=payment_id, input=f'{{"payment_id": "{payment_id}"}}'
    )


def plain(client: Any, payment_id: str) -> None:
    """The one function of the plain design: it does all in one transaction."""
    new = {"ConditionExpression": "attribute_not_exists(id)"}
    puts = [
        {"Put": {"TableName": "reference", "Item": _item(payment_id, kind), **new}}
        for kind in ("key", "payment", "leg#debit", "leg#credit")
    ]
    balance = {
        "TableName": "reference",
        "Key": _item("balances", "merchant"),
        "UpdateExpression": "ADD amount :amount",
        "ExpressionAttributeValues": {":amount": {"N": "10000"}},
    }
    client.transact_write_items(TransactItems=[*puts, {"Update": balance}])


def _item(payment_id: str, kind: str) -> Item:
    return {"id": {"S": payment_id}, "item": {"S": kind}}
