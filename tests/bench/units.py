"""What DynamoDB charges for an operation, by its published rules.

An item's size is that of its attribute names and values in UTF-8, a number about one byte for two
digits. A write is one unit per started KB of the larger of the item before and after, a strongly
consistent read one per started 4 KB, an eventually consistent one half of that, and in a
transaction everything is twice that. An index is written when what it holds of the item changes:
one unit for an entry that comes, goes or changes in its place, two for one whose key changes; a
transaction does not double it.

The emulator counts writes by the same rules, and a test compares the two. For reads it says the
same for every size, so the bench counts them by these functions.
"""

from collections.abc import Iterable, Mapping
from math import ceil
from typing import Any, Final

Item = Mapping[str, Any]

KB: Final = 1024


def size_of(item: Item) -> int:
    """The bytes of an item."""
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def _value_size(value: Mapping[str, Any]) -> int:
    kind, held = next(iter(value.items()))
    match kind:
        case "S":
            return len(str(held).encode())
        case "N":
            digits = str(held).lstrip("-").replace(".", "").strip("0")
            return ceil(len(digits) / 2) + 1 + int(held.startswith("-"))
        case "BOOL" | "NULL":
            return 1
        case "M":
            return 3 + sum(
                1 + len(name.encode()) + _value_size(each) for name, each in held.items()
            )
        case "L":
            return 3 + sum(1 + _value_size(each) for each in held)
        case _:
            raise NotImplementedError(f"the engine stores no {kind}")


def write_units(before: Item | None, after: Item | None, *, transaction: bool = False) -> float:
    """What writing an item costs on its table. One that is not there counts as a small one."""
    size = max(size_of(before or {}), size_of(after or {}))
    return max(1, ceil(size / KB)) * (2.0 if transaction else 1.0)


def index_units(
    keys: Iterable[str], projected: Iterable[str] | None, before: Item | None, after: Item | None
) -> float:
    """What the same write costs on an index: its keys, and what it holds beside those and the keys
    of the table (everything, if `None`).
    """
    keys = tuple(keys)
    was, now = _held(keys, projected, before), _held(keys, projected, after)
    if was == now:
        return 0.0
    if was is not None and now is not None:
        moves = any(was[key] != now[key] for key in keys)
        units = (_units(was), _units(now))
        return sum(units) if moves else max(units)
    return _units(was or now or {})


def _held(keys: tuple[str, ...], projected: Iterable[str] | None, item: Item | None) -> Item | None:
    if item is None or any(key not in item for key in keys):
        return None
    if projected is None:
        return item
    return {name: item[name] for name in {*keys, *projected} if name in item}


def _units(item: Item) -> float:
    return float(max(1, ceil(size_of(item) / KB)))


def read_units(items: Iterable[Item], *, consistent: bool, transaction: bool = False) -> float:
    """What reading these items at once costs: a query adds sizes up before it rounds."""
    whole = max(1, ceil(sum(map(size_of, items)) / (4 * KB)))
    return whole * (2.0 if transaction else 1.0 if consistent else 0.5)
