"""Whether a payment costs the same when many are stored: a seller gets a past, and one flow is
counted.

The past is that of a real payment of this stack, item by item, under other ids: its facts, its key,
its view and its line. It is laid into the emulator's own tables, for a hundred thousand requests
would take hours.
"""

import json
from collections.abc import Iterable
from typing import Final

from ministack.services import dynamodb

from tests.bench.aws import Json, emulated
from tests.bench.counts import Counts
from tests.bench.flows import Bench
from tests.bench.stack import table_name

TARGET: Final = "DynamoDB_20120810."


class Past:
    """A seller whose past grows."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        bench.stack.settle()
        stored: list[tuple[str, Json]] = []
        meter = bench.stack.meter
        hears = meter.stored

        def both(table: str, item: Json) -> None:
            stored.append((table, item))
            hears(table, item)

        meter.stored = both
        self._payment_id = bench.pay()
        bench.stack.settle()
        meter.stored = hears
        self._shapes = [
            (table, json.dumps(item)) for table, item in stored if not table.startswith("Analytics")
        ]
        self.payments = _position(bench.seller)

    def grow_to(self, payments: int) -> None:
        """Let the seller have had so many payments."""
        for number in range(self.payments, payments):
            fresh = self._payment_id[:-8] + f"{number:08}"
            for table, shape in self._shapes:
                item = json.loads(shape.replace(self._payment_id, fresh))
                if "id" in item:
                    item["id"] = {"S": f"{item['id']['S']}#{number}"}
                if "line_number" in item:
                    item["line_number"] = {"N": str(number + 1)}
                _lay(table, item)
        self.payments = payments
        key = {
            "account": {"S": f"tn_florence#wallet:{self._bench.seller}"},
            "item": {"S": "#position"},
        }
        change = {
            "TableName": table_name("AccountsTable"),
            "Key": key,
            "UpdateExpression": "SET #number = :number",
            "ExpressionAttributeNames": {"#number": "number"},
            "ExpressionAttributeValues": {":number": {"N": str(payments)}},
        }
        status, answered = emulated(f"{TARGET}UpdateItem", change)
        assert status == 200, answered


def counted_with(bench: Bench, sizes: Iterable[int]) -> dict[str, Counts]:
    """Ten happy payments of a seller who has had so many already, for each number."""
    past, found = Past(bench), {}
    for payments in sizes:
        past.grow_to(payments)
        found[str(payments)] = bench.happy()
        past.payments += 10
    return found


def _lay(table: str, item: Json) -> None:
    held = dynamodb._tables[table]  # the emulator's own way, without the requests
    sort = item[held["sk_name"]] if held["sk_name"] else {"S": "__no_sort__"}
    (partition,), (within,) = item[held["pk_name"]].values(), sort.values()
    dynamodb._set_item(held, partition, within, item)


def _position(account_id: str) -> int:
    key = {"account": {"S": f"tn_florence#wallet:{account_id}"}, "item": {"S": "#position"}}
    asked = {"TableName": table_name("AccountsTable"), "Key": key}
    status, answered = emulated(f"{TARGET}GetItem", asked)
    assert status == 200, answered
    return int(answered["Item"]["number"]["N"])
