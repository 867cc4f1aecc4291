"""The rules by which DynamoDB charges, and whether the emulator's counts follow them."""

import json
from typing import Any

import pytest

from tests.bench import units
from tests.bench.aws import emulated

TARGET = "DynamoDB_20120810."


def _item(size: int, **more: str) -> dict[str, Any]:
    """An item of so many bytes, and what more it says."""
    item: dict[str, Any] = {"id": {"S": "x"}} | {name: {"S": text} for name, text in more.items()}
    return item | {"pad": {"S": "p" * (size - units.size_of(item) - 3)}}


def test_the_size_of_an_item_is_that_of_its_names_and_values() -> None:
    assert units.size_of({"id": {"S": "zwölf"}, "n": {"N": "-120"}}) == 2 + 6 + 1 + 3
    assert units.size_of({"m": {"M": {"a": {"S": "b"}}}}) == 1 + 3 + 1 + 1 + 1
    assert units.size_of(_item(500)) == 500


@pytest.mark.parametrize(
    ("before", "after", "alone"),
    [(0, 100, 1), (0, 1024, 1), (0, 1025, 2), (2500, 100, 3), (100, 2500, 3), (0, 0, 1)],
)
def test_a_write_is_a_unit_per_started_kb_of_the_larger_image(
    before: int, after: int, alone: int
) -> None:
    images = [_item(size) if size else None for size in (before, after)]
    assert units.write_units(*images) == alone
    assert units.write_units(*images, transaction=True) == 2 * alone


@pytest.mark.parametrize(
    ("sizes", "consistent", "transaction", "cost"),
    [
        ([100], True, False, 1),
        ([100], False, False, 0.5),
        ([4096], True, False, 1),
        ([4097], True, False, 2),
        ([3000, 3000], True, False, 2),
        ([100], True, True, 2),
        ([], True, False, 1),
    ],
)
def test_a_read_is_a_unit_per_started_four_kb(
    sizes: list[int], consistent: bool, transaction: bool, cost: float
) -> None:
    found = [_item(size) for size in sizes]
    assert units.read_units(found, consistent=consistent, transaction=transaction) == cost


@pytest.fixture(scope="module")
def table() -> str:
    """A table with an index of keys and one of everything."""
    name = "units"
    indexes = [
        {
            "IndexName": index,
            "KeySchema": [{"AttributeName": key, "KeyType": "HASH"}],
            "Projection": {"ProjectionType": kind},
        }
        for index, key, kind in (("keys", "status", "KEYS_ONLY"), ("all", "order", "ALL"))
    ]
    status, answer = emulated(
        f"{TARGET}CreateTable",
        {
            "TableName": name,
            "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
            "AttributeDefinitions": [
                {"AttributeName": key, "AttributeType": "S"} for key in ("id", "status", "order")
            ],
            "GlobalSecondaryIndexes": indexes,
        },
    )
    assert status == 200, answer
    return name


IMAGES = [
    _item(300, status="processing", order="12"),
    _item(300, status="authorized", order="12"),
    _item(2_500, status="authorized", order="12"),
    _item(400, order="12"),
    _item(400),
    _item(1_500, status="failed"),
]


@pytest.mark.parametrize("transaction", [False, True])
def test_the_emulator_counts_writes_as_the_rules_say(table: str, transaction: bool) -> None:
    before: dict[str, Any] | None = None
    name = f"{table}-{transaction}"
    for after in IMAGES:
        put: dict[str, Any] = {"TableName": table, "Item": after | {"id": {"S": name}}}
        image, was = put["Item"], before
        request: dict[str, Any] = {"TransactItems": [{"Put": put}]} if transaction else put
        operation = "TransactWriteItems" if transaction else "PutItem"
        request["ReturnConsumedCapacity"] = "INDEXES"
        status, answer = emulated(f"{TARGET}{operation}", request)
        assert status == 200, answer
        consumed = answer["ConsumedCapacity"]
        counted = consumed[0] if transaction else consumed
        expected = {
            "keys": units.index_units(["status"], ["id"], was, image),
            "all": units.index_units(["order"], None, was, image),
        }
        indexes = counted.get("GlobalSecondaryIndexes", {})
        assert {
            index: indexes.get(index, {}).get("CapacityUnits", 0) for index in expected
        } == expected
        on_table = units.write_units(was, image, transaction=transaction)
        assert counted["CapacityUnits"] == on_table + sum(expected.values()), json.dumps(image)
        before = image
