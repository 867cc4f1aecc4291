"""What verification reads beside what daily work reads, and the runs that it keeps.

runs    tenant_id, item     run#{run id}   a run as JSON, and how often it was saved
                            #underway      the one that is worked on, and when it last was
                            #last          the one that finished last
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import msgspec

from florin.adapters.dynamodb import (
    HOLD,
    Dynamo,
    Item,
    _account_key,
    _found,
    _held,
    _int,
    _iso,
    _line,
    _n,
    _receipt,
    _receipt_item,
    _s,
    _text,
    _update,
    row_from_item,
)
from florin.adapters.patience import TRIES_MAX
from florin.adapters.sealing import sealed
from florin.domain.history import Recorded
from florin.domain.verification import Standing
from florin.ports import (
    AccountKey,
    AlreadyReceived,
    ContentionError,
    Receipt,
    Reserved,
    StatementLine,
)
from florin.verification import (
    ABANDONED_AFTER,
    Begun,
    Run,
    Sealed,
    StreamPage,
    Underway,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_dynamodb import DynamoDBClient

    from florin.adapters.dynamodb import Tables

PAGE_ROWS: Final = 500
"""Rows of the events table that one page of a walk looks at."""
GETS_MAX: Final = 100


UNDERWAY: Final = "#underway"
LAST: Final = "#last"


class DynamoVerification(Dynamo):
    """The store, and what only verification asks of it. It writes nothing but runs."""

    def __init__(
        self,
        client: "DynamoDBClient",
        tables: "Tables",
        runs_table: str,
        pause: "Callable[[float], None]" = time.sleep,
        page_rows: int = PAGE_ROWS,
    ) -> None:
        super().__init__(client, tables, pause=pause)
        self._runs_table = runs_table
        self._page_rows = page_rows

    # Reading the books.

    def stream_page(
        self, tenant_id: str, *, after: str | None, since: datetime | None = None
    ) -> StreamPage:
        """A page of the table; rows of other tenants are left out where it is stored."""
        request: Item = {
            "TableName": self._tables.events,
            "ConsistentRead": True,
            "Limit": self._page_rows,
            "FilterExpression": "tenant_id = :tenant",
            "ProjectionExpression": "#stream, version",
            "ExpressionAttributeNames": {"#stream": "stream"},
            "ExpressionAttributeValues": {":tenant": _s(tenant_id)},
        }
        if since is not None:
            request["FilterExpression"] += " AND recorded_at > :since"
            request["ExpressionAttributeValues"][":since"] = _iso(since)
        if after is not None:
            version, _, stream = after.partition(" ")
            request["ExclusiveStartKey"] = {"stream": _s(stream), "version": {"N": version}}
        answer = self._patiently(lambda: self._client.scan(**request))
        first: dict[str, int] = {}
        for item in answer["Items"]:
            stream, number = _text(item, "stream"), _int(item, "version")
            first[stream] = min(number, first.get(stream, number))
        last: Any = answer.get("LastEvaluatedKey")
        return StreamPage(
            streams=first,
            after=f"{_int(last, 'version')} {_text(last, 'stream')}" if last else None,
        )

    def sealed(self, stream: str) -> Sealed:
        return sealed(self.rows(stream), self._codec)

    def entry_lines(
        self, wanted: Sequence[tuple[AccountKey, str]]
    ) -> Mapping[tuple[AccountKey, str], StatementLine]:
        by_key = {
            (_account_key(wallet), f"line#{entry}"): (wallet, entry) for wallet, entry in wanted
        }
        items = self._get_many(
            self._tables.accounts,
            [{"account": _s(account), "item": _s(item)} for account, item in by_key],
        )
        found = [(by_key[_text(item, "account"), _text(item, "item")], item) for item in items]
        return {(wallet, entry): _line(wallet, item) for (wallet, entry), item in found}

    def entry_facts(self, entry_ids: Sequence[str]) -> Mapping[str, Recorded]:
        keys = [
            {"stream": _s(stream), "version": {"N": version}}
            for stream, _, version in (
                entry_id.rpartition(":") for entry_id in dict.fromkeys(entry_ids)
            )
            if stream and version.isdecimal()
        ]
        rows = [row_from_item(item) for item in self._get_many(self._tables.events, keys)]
        return {f"{row.stream}:{row.version}": self._codec.decode(row) for row in rows}

    def lines(self, wallet: AccountKey, *, above: int, limit: int) -> Sequence[StatementLine]:
        items = self._query(
            TableName=self._tables.accounts,
            IndexName="by_number",
            KeyConditionExpression="account = :account AND line_number > :above",
            ExpressionAttributeValues={":account": _s(_account_key(wallet)), ":above": _n(above)},
            Limit=limit,
        )
        return tuple(_line(wallet, item) for item in islice(items, limit))

    def lines_between(self, wallet: AccountKey, first: int, last: int) -> Sequence[StatementLine]:
        items = self._query(
            TableName=self._tables.accounts,
            KeyConditionExpression="account = :account AND begins_with(#item, :line)",
            FilterExpression="line_number BETWEEN :first AND :last",
            ExpressionAttributeNames={"#item": "item"},
            ExpressionAttributeValues={
                ":account": _s(_account_key(wallet)),
                ":line": _s("line#"),
                ":first": _n(first),
                ":last": _n(last),
            },
            ConsistentRead=True,
        )
        return tuple(sorted((_line(wallet, item) for item in items), key=lambda line: line.number))

    def standing(self, wallet: AccountKey) -> Standing | None:
        key = {"account": _s(_account_key(wallet))}
        profile, guard, position = self._get_together(
            self._tables.accounts,
            [key | {"item": _s(item)} for item in ("#profile", "#guard", "#position")],
        )
        if not (guard and position):
            return None
        return Standing(
            spendable_minor=_int(guard, "spendable"),
            balance_minor=_int(position, "balance"),
            number=_int(position, "number"),
            min_balance_minor=_int(profile, "min_balance") if "min_balance" in profile else 0,
            held_minor=_held(position),
        )

    def reserved_by(self, wallet: AccountKey, stream: str) -> Reserved | None:
        known = self._known(wallet, stream)
        return known if known.version else None

    def reserved_minor(self, wallet: AccountKey) -> int:
        found = self._query(
            TableName=self._tables.accounts,
            KeyConditionExpression="account = :account AND begins_with(#item, :prefix)",
            ExpressionAttributeNames={"#item": "item"},
            ExpressionAttributeValues={
                ":account": _s(_account_key(wallet)),
                ":prefix": _s(HOLD),
            },
            ConsistentRead=True,
        )
        return sum(_int(item, "amount") for item in found)

    def _get_many(self, table: str, keys: Sequence[Item]) -> Iterator[Item]:
        """The items with these keys, in no order, without those that are not there."""
        for start in range(0, len(keys), GETS_MAX):
            answer: Any
            left: Any = {table: {"Keys": keys[start : start + GETS_MAX], "ConsistentRead": True}}
            for tried in range(TRIES_MAX):
                answer = self._patiently(partial(self._client.batch_get_item, RequestItems=left))
                yield from answer["Responses"].get(table, ())
                left = answer.get("UnprocessedKeys")
                if not left:
                    break
                self._patiently.rest(tried)
            else:
                raise ContentionError(f"{TRIES_MAX} tries did not read {table}")

    # Runs.

    def begin(self, run: Run, receipt: Receipt | None = None) -> Begun | Underway | AlreadyReceived:
        table = self._runs_table
        lock: Item = {
            "TableName": table,
            "Item": self._run_key(run.tenant_id, UNDERWAY)
            | {"run_id": _s(run.run_id), "worked_at": _iso(run.worked_at)},
            "ConditionExpression": "attribute_not_exists(tenant_id) OR worked_at < :abandoned",
            "ExpressionAttributeValues": {":abandoned": _iso(run.worked_at - ABANDONED_AFTER)},
        }
        puts: list[Item] = []
        if receipt is not None:
            puts.append(self._put(self._tables.idempotency, _receipt_item(receipt), "id"))
        puts += [{"Put": lock}, self._put(table, self._run_item(run), "tenant_id")]
        for _ in range(TRIES_MAX):
            reasons = self._transact(puts)
            if reasons is None:
                return Begun(run)
            if receipt is not None and reasons[0].failed:
                return AlreadyReceived(_receipt(_found(reasons[0])))
            underway = self.underway(run.tenant_id)
            if underway is not None:
                return Underway(underway)
            # It finished between the two; the place is free now.
        raise ContentionError(f"runs of {run.tenant_id} kept beginning and finishing")

    def run(self, tenant_id: str, run_id: str) -> Run | None:
        item = self._get(self._runs_table, self._run_key(tenant_id, f"run#{run_id}"))
        return None if item is None else _run(item)

    def save(self, run: Run) -> bool:
        table, read = self._runs_table, run.step
        run.step += 1
        kept: Item = {
            "TableName": table,
            "Item": self._run_item(run),
            "ConditionExpression": "step = :read",
            "ExpressionAttributeValues": {":read": _n(read)},
        }
        lock = self._run_key(run.tenant_id, UNDERWAY)
        own, mine = "run_id = :own", {":own": _s(run.run_id)}
        if run.is_finished:
            freed: Item = {"TableName": table, "Key": lock, "ConditionExpression": own}
            last = self._run_key(run.tenant_id, LAST) | {"run_id": _s(run.run_id)}
            writes: list[Item] = [
                {"Delete": freed | {"ExpressionAttributeValues": mine}},
                {"Put": {"TableName": table, "Item": last}},
            ]
        else:
            values = mine | {":now": _iso(run.worked_at)}
            writes = [_update(table, lock, "SET worked_at = :now", values, condition=own)]
        return self._transact([{"Put": kept}, *writes]) is None

    def underway(self, tenant_id: str) -> Run | None:
        return self._named(tenant_id, UNDERWAY)

    def last(self, tenant_id: str) -> Run | None:
        return self._named(tenant_id, LAST)

    def _named(self, tenant_id: str, name: str) -> Run | None:
        item = self._get(self._runs_table, self._run_key(tenant_id, name))
        return None if item is None else self.run(tenant_id, _text(item, "run_id"))

    def _run_key(self, tenant_id: str, item: str) -> Item:
        return {"tenant_id": _s(tenant_id), "item": _s(item)}

    def _run_item(self, run: Run) -> Item:
        return self._run_key(run.tenant_id, f"run#{run.run_id}") | {
            "step": _n(run.step),
            "run": _s(msgspec.json.encode(run).decode()),
        }


def _run(item: Item) -> Run:
    return msgspec.json.decode(_text(item, "run"), type=Run)
