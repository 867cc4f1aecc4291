"""Events, accounts and books in DynamoDB.

    events       stream, version            one fact, put once and never changed
    idempotency  id = tenant#key            what a key was used for, put with its effect
    accounts     account, item              per wallet: #profile, #guard, #position, its lines
                                            line#{entry id}, what is put aside hold#{stream}, its
                                            balances balance#{account id};
                                            else: total#{bucket}, added to, summed when read
    views        stream                     the folded summary; its version says how far the
                                            books follow the stream; found by the indexes of
                                            `florin.adapters.search`

A single fact is one conditional put. Whatever belongs together is one TransactWriteItems, whose
cancellation reasons are judged in this order: the idempotency record, conflicts, conditions.
"""

import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TypeVar

from botocore.exceptions import ClientError

from florin.adapters.aws import error_code
from florin.adapters.codec import Codec, Row
from florin.adapters.patience import TRIES_MAX, Patience, StoppedError, stopped
from florin.domain.account import AccountKind
from florin.domain.chart import is_wallet
from florin.domain.chart import wallet as wallet_account
from florin.domain.history import History
from florin.domain.ledger import Account, Leg, Side
from florin.domain.money import Money
from florin.domain.refusals import Refusal
from florin.ports import (
    AccountKey,
    Advance,
    AlreadyReceived,
    Amendment,
    Appended,
    AppendResult,
    Batch,
    ContentionError,
    InsufficientFunds,
    Line,
    NotEmpty,
    Page,
    PaymentQuery,
    PaymentSummary,
    Profile,
    Receipt,
    Reserved,
    SearchTooBroad,
    StatementLine,
    StreamMoved,
    View,
    Wallet,
    wallet_of,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from florin.adapters.search import Index

T = TypeVar("T")

Item = dict[str, Any]
"""An item in DynamoDB's own notation: attribute name to `{"S": …}` or `{"N": …}`."""

LINES_MAX: Final = 49
"""So many lines and as many holds fit beside position and guard into a transaction of 100 items."""
ITEMS_MAX: Final = 100
"""What one transaction takes."""
TOTAL_BUCKETS: Final = 16
"""Into so many items the total of an account is spread, so that batches rarely meet at one."""

DUE_BUCKETS: Final = 8

HOLD: Final = "hold#"
BALANCE: Final = "balance#"

FAILED: Final = "ConditionalCheckFailed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """The names of the tables."""

    events: str
    idempotency: str
    accounts: str
    views: str


@dataclass(frozen=True, slots=True)
class _Reason:
    """Why one item of a transaction stopped it, with the item as it was found."""

    failed: bool
    item: Item | None


class Dynamo:
    """Event store, accounts and books over four tables."""

    def __init__(
        self,
        client: "DynamoDBClient",
        tables: Tables,
        codec: Codec | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._tables = tables
        self._codec = codec or Codec()
        self._patiently = Patience(pause)

    # Events.

    def read(self, stream: str) -> History:
        return History(tuple(self._codec.decode(row) for row in self.rows(stream)))

    def rows(self, stream: str) -> tuple[Row, ...]:
        """The stream as it is stored."""
        items = self._query(
            TableName=self._tables.events,
            KeyConditionExpression="#stream = :stream",
            ExpressionAttributeNames={"#stream": "stream"},
            ExpressionAttributeValues={":stream": _s(stream)},
            ConsistentRead=True,
        )
        return tuple(row_from_item(item) for item in items)

    def append(self, batch: Batch) -> AppendResult:
        rows, facts = self._codec.encode(batch)
        appended = Appended(facts)
        guards = batch.guarded()
        alone = batch.receipt is None and batch.opens is None and batch.amends is None
        if len(rows) == 1 and alone and not guards:
            return appended if self._put_alone(rows[0]) else StreamMoved()

        puts: list[Item] = []
        if batch.receipt is not None:
            puts.append(self._put(self._tables.idempotency, _receipt_item(batch.receipt), "id"))
        puts += [self._put(self._tables.events, _event_item(row), "stream") for row in rows]
        if batch.opens is not None:
            puts += [
                self._put(self._tables.accounts, item, "account")
                for item in _wallet_items(batch.opens)
            ]
        takes = [(self._take(key, minor), key.account) for key, minor in guards.items()]
        amends = [] if batch.amends is None else self._amending(batch.amends)
        writes = [write for write, _ in takes] + [write for write, _ in amends]
        reasons = self._transact(puts + writes)
        if reasons is None:
            return appended
        if batch.receipt is not None and reasons[0].failed:
            return AlreadyReceived(_receipt(_found(reasons[0])))
        if any(reason.failed for reason in reasons[: len(puts)]):
            return StreamMoved()
        (refused, *_) = (
            meaning
            for (_, meaning), reason in zip(takes + amends, reasons[len(puts) :], strict=True)
            if reason.failed
        )
        return NotEmpty() if refused is None else InsufficientFunds(refused)

    def _amending(self, amends: Amendment) -> list[tuple[Item, Account | None]]:
        """The writes that change a profile and its guard, each with the account whose money it
        found wanting, or `None` where it found money that should not be there.
        """
        profile = amends.profile
        key = {"account": _s(_wallet_key(profile.tenant_id, profile.account_id))}
        account = wallet_account(profile.account_id)
        writes: list[tuple[Item, Account | None]] = [
            ({"Put": {"TableName": self._tables.accounts, "Item": _profile_item(profile)}}, account)
        ]
        guard, position = key | {"item": _s("#guard")}, key | {"item": _s("#position")}
        if amends.empty:
            limit = {":limit": _n(-amends.spendable_minor), ":zero": _n(0)}
            end = _update(
                self._tables.accounts,
                guard,
                "SET spendable = :zero",
                limit,
                condition="spendable = :limit",
            )
            writes.append((end, None))
            zero = {":zero": _n(0)}
            writes.append((self._check(position, "balance = :zero AND held = :zero", zero), None))
        elif amends.spendable_minor:
            taken = -amends.spendable_minor
            least = {":least": _n(taken)} if taken > 0 else {}
            change = _update(
                self._tables.accounts,
                guard,
                "SET spendable = spendable + :change",
                {":change": _n(amends.spendable_minor), **least},
                # To give is always possible; to take needs what is taken.
                condition="spendable >= :least" if least else "attribute_exists(spendable)",
            )
            writes.append((change, account))
        return writes

    def _check(self, key: Item, condition: str, values: Mapping[str, Item]) -> Item:
        return {
            "ConditionCheck": {
                "TableName": self._tables.accounts,
                "Key": key,
                "ConditionExpression": condition,
                "ExpressionAttributeValues": dict(values),
            }
        }

    def _take(self, key: AccountKey, minor: int) -> Item:
        """Take from a guarded account what is there, and nothing that is not."""
        return _update(
            self._tables.accounts,
            {"account": _s(_account_key(key)), "item": _s("#guard")},
            "SET spendable = spendable - :amount",
            {":amount": _n(minor)},
            condition="spendable >= :amount",
        )

    def receipt(self, tenant_id: str, key: str) -> Receipt | None:
        item = self._get(self._tables.idempotency, {"id": _s(f"{tenant_id}#{key}")})
        return None if item is None else _receipt(item)

    def bind(self, receipt: Receipt) -> Receipt:
        put = self._put(self._tables.idempotency, _receipt_item(receipt), "id")["Put"]

        def bound() -> Receipt:
            try:
                self._client.put_item(**put)
            except ClientError as error:
                if error_code(error) != "ConditionalCheckFailedException":
                    raise
                found: Any = error.response
                return _receipt(found["Item"])
            return receipt

        return self._patiently(bound)

    def _put_alone(self, row: Row) -> bool:
        """Put one event; false if another one stands in its place."""

        def put() -> bool:
            try:
                self._client.put_item(
                    **self._put(self._tables.events, _event_item(row), "stream")["Put"]
                )
            except ClientError as error:
                if error_code(error) != "ConditionalCheckFailedException":
                    raise
                # A retry inside the SDK finds its own first try, which is a success.
                found: Item = error.response.get("Item", {})  # type: ignore[assignment]  # absent in the stubs
                return found.get("hash") == _s(row.hash)
            return True

        return self._patiently(put)

    # Accounts.

    def profile(self, tenant_id: str, account_id: str, *, fresh: bool = False) -> Profile | None:
        item = self._get(
            self._tables.accounts,
            {"account": _s(_wallet_key(tenant_id, account_id)), "item": _s("#profile")},
        )
        return None if item is None else _profile(item)

    def wallet(self, profile: Profile) -> Wallet:
        key = {"account": _s(_wallet_key(profile.tenant_id, profile.account_id))}
        known, guard, position = self._get_together(
            self._tables.accounts,
            [key | {"item": _s(item)} for item in ("#profile", "#guard", "#position")],
        )
        return wallet_of(
            _profile(known),
            spendable_minor=_int(guard, "spendable"),
            position_minor=_int(position, "balance"),
            held_minor=_held(position),
        )

    def balances(self, profile: Profile) -> Sequence[Profile]:
        found = [
            self.profile(profile.tenant_id, _text(item, "item").removeprefix(BALANCE))
            for item in self._items_of(profile, BALANCE)
        ]
        return tuple(balance for balance in found if balance is not None)

    def reserved(self, profile: Profile) -> Sequence[Reserved]:
        found = [_reserved(item) for item in self._items_of(profile, HOLD)]
        return tuple(one for one in found if one.amount_minor)

    def _items_of(self, profile: Profile, prefix: str) -> Iterator[Item]:
        """What belongs to an account and has this kind of name."""
        return self._query(
            TableName=self._tables.accounts,
            KeyConditionExpression="account = :account AND begins_with(#item, :prefix)",
            ExpressionAttributeNames={"#item": "item"},
            ExpressionAttributeValues={
                ":account": _s(_wallet_key(profile.tenant_id, profile.account_id)),
                ":prefix": _s(prefix),
            },
            ConsistentRead=True,
        )

    # Books.

    def view(self, stream: str) -> View | None:
        item = self._get(self._tables.views, {"stream": _s(stream)})
        return None if item is None else _view(item)

    def payments(self, query: PaymentQuery) -> Page | SearchTooBroad:
        from florin.adapters.search import search  # noqa: PLC0415  # no step of the saga searches

        return search(query, self._streams, self._views)

    def _streams(self, index: "Index", key: str, between: tuple[str, str], limit: int) -> list[str]:
        from florin.adapters.search import KEY_OF  # noqa: PLC0415  # no step of the saga searches

        items = self._query(
            TableName=self._tables.views,
            IndexName=index,
            KeyConditionExpression="#key = :key AND #stream BETWEEN :first AND :last",
            ExpressionAttributeNames={"#key": KEY_OF[index], "#stream": "stream"},
            ExpressionAttributeValues={
                ":key": _s(key),
                ":first": _s(between[0]),
                ":last": _s(between[1]),
            },
            ScanIndexForward=False,
            Limit=limit,
        )
        return [_text(item, "stream") for item in islice(items, limit)]

    def _views(self, streams: Sequence[str]) -> list[View]:
        """The views of at most 100 streams: strongly consistent, so what an index tells of is
        there.
        """
        found: list[View] = []
        keys: list[Item] = [{"stream": _s(stream)} for stream in streams]
        for tried in range(TRIES_MAX):
            items, keys = self._batch(self._tables.views, keys)
            found += map(_view, items)
            if not keys:
                return found
            self._patiently.rest(tried)
        raise ContentionError(f"{len(keys)} of {len(streams)} views could not be read")

    def post(
        self, wallet: AccountKey, lines: Sequence[Line], reserved: Sequence[Reserved] = ()
    ) -> None:
        for start in range(0, max(len(lines), len(reserved)), LINES_MAX):
            stop = start + LINES_MAX
            self._post(wallet, lines[start:stop], reserved[start:stop])

    def _post(
        self, wallet: AccountKey, lines: Sequence[Line], reserved: Sequence[Reserved]
    ) -> None:
        for tried in range(TRIES_MAX):
            known = {one.stream: self._known(wallet, one.stream) for one in reserved}
            reserved = [one for one in reserved if one.version > known[one.stream].version]
            if not (lines or reserved):
                return
            holds = [(known[one.stream], one) for one in reserved]
            reasons = self._transact(self._posting(wallet, lines, holds))
            if reasons is None:
                return
            lines = [
                line for line, reason in zip(lines, reasons, strict=False) if not reason.failed
            ]
            self._patiently.rest(tried)
        raise ContentionError(f"the statement of {wallet.account} was never free")

    def _known(self, wallet: AccountKey, stream: str) -> Reserved:
        """What a stream is known to have put aside; of one that is not known, nothing."""
        key = {"account": _s(_account_key(wallet)), "item": _s(f"{HOLD}{stream}")}
        item = self._get(self._tables.accounts, key)
        return Reserved(stream=stream, version=0, amount_minor=0) if not item else _reserved(item)

    def _posting(
        self, wallet: AccountKey, lines: Sequence[Line], holds: Sequence[tuple[Reserved, Reserved]]
    ) -> list[Item]:
        """The transaction that puts `lines` after the line that the position names, and what is
        put aside in the place of what was.
        """
        table, key = self._tables.accounts, _account_key(wallet)
        position = self._get(table, {"account": _s(key), "item": _s("#position")})
        if position is None:
            raise LookupError(f"{wallet.account} has no position")
        number, balance = _int(position, "number"), _int(position, "balance")
        moved, freed, items = 0, 0, []
        for offset, line in enumerate(lines, start=1):
            moved += line.leg.credit_minor
            freed += line.leg.credit_minor + line.guarded_minor
            numbered = StatementLine(
                line=line, number=number + offset, balance_after_minor=balance + moved
            )
            items.append(self._put(table, _line_item(key, numbered), "account"))
        items += [self._hold_put(key, before, after) for before, after in holds]
        held = sum(after.amount_minor - before.amount_minor for before, after in holds)
        items.append(
            _update(
                table,
                {"account": _s(key), "item": _s("#position")},
                "SET balance = :balance, #number = :number ADD held :held",
                {
                    ":balance": _n(balance + moved),
                    ":number": _n(number + len(lines)),
                    ":read": _n(number),
                    ":held": _n(held),
                },
                condition="#number = :read",
                names={"#number": "number"},
            )
        )
        if freed or lines:
            items.append(
                _update(
                    table,
                    {"account": _s(key), "item": _s("#guard")},
                    "ADD spendable :moved",
                    {":moved": _n(freed)},
                    condition="attribute_exists(account)",
                )
            )
        return items

    def _hold_put(self, account: str, before: Reserved, after: Reserved) -> Item:
        put: Item = {"TableName": self._tables.accounts, "Item": _hold_item(account, after)}
        if before.version == 0:
            put |= {"ConditionExpression": "attribute_not_exists(account)"}
        else:
            put |= {
                "ConditionExpression": "#version = :known",
                "ExpressionAttributeNames": {"#version": "version"},
                "ExpressionAttributeValues": {":known": _n(before.version)},
            }
        return {"Put": put}

    def advance(self, advances: Sequence[Advance]) -> bool:
        alone = [change for change in advances if not change.totals]
        joined = [change for change in advances if change.totals]
        done = sum(self._move_alone(change) for change in alone) == len(alone)
        for chunk in _fitting(joined):
            moves = [{"Put": self._view_put(change)} for change in chunk]
            done = self._transact(moves + self._additions(chunk)) is None and done
        return done

    def _move_alone(self, change: Advance) -> bool:
        """Move a view whose new facts have no totals: one plain put, half the price."""

        def put() -> bool:
            try:
                self._client.put_item(**self._view_put(change))
            except ClientError as error:
                if error_code(error) != "ConditionalCheckFailedException":
                    raise
                return False
            return True

        return self._patiently(put)

    def _view_put(self, change: Advance) -> Item:
        put: Item = {"TableName": self._tables.views, "Item": _view_item(change.view)}
        if change.from_version == 0:
            return put | {
                "ConditionExpression": "attribute_not_exists(#stream)",
                "ExpressionAttributeNames": {"#stream": "stream"},
            }
        return put | {
            "ConditionExpression": "#version = :from",
            "ExpressionAttributeNames": {"#version": "version"},
            "ExpressionAttributeValues": {":from": _n(change.from_version)},
        }

    def _additions(self, advances: Sequence[Advance]) -> list[Item]:
        bucket = zlib.crc32(advances[0].view.stream.encode()) % TOTAL_BUCKETS
        sums: dict[AccountKey, dict[Side, int]] = {}
        for change in advances:
            for account, leg in change.totals:
                sides = sums.setdefault(account, {Side.DEBIT: 0, Side.CREDIT: 0})
                sides[leg.side] += leg.amount.minor
        return [
            _update(
                self._tables.accounts,
                {"account": _s(_account_key(account)), "item": _s(f"total#{bucket:02}")},
                "ADD debits :debits, credits :credits",
                {":debits": _n(sides[Side.DEBIT]), ":credits": _n(sides[Side.CREDIT])},
            )
            for account, sides in sums.items()
        ]

    def due(self, until: datetime, limit: int) -> Sequence[str]:
        found: list[tuple[str, str]] = []
        for bucket in range(DUE_BUCKETS):
            items = self._query(
                TableName=self._tables.views,
                IndexName="by_due",
                KeyConditionExpression="due_key = :bucket AND due_at <= :until",
                ExpressionAttributeValues={":bucket": _s(str(bucket)), ":until": _iso(until)},
                Limit=limit,
            )
            found += [
                (_text(item, "due_at"), _text(item, "stream")) for item in islice(items, limit)
            ]
        return tuple(stream for _, stream in sorted(found)[:limit])

    def postpone(self, view: View, due_at: datetime | None) -> bool:
        later: Item = {}
        if due_at is not None:
            later = {":due": _iso(due_at), ":bucket": _s(_due_key(view.stream))}
        change = "SET resumes = :resumes" + (
            ", due_at = :due, due_key = :bucket" if later else " REMOVE due_at, due_key"
        )

        def update() -> bool:
            try:
                self._client.update_item(
                    TableName=self._tables.views,
                    Key={"stream": _s(view.stream)},
                    UpdateExpression=change,
                    ConditionExpression="#version = :version AND "
                    + ("resumes = :known" if view.resumes else "attribute_not_exists(resumes)"),
                    ExpressionAttributeNames={"#version": "version"},
                    ExpressionAttributeValues={
                        ":version": _n(view.version),
                        ":resumes": _n(view.resumes + 1),
                        **({":known": _n(view.resumes)} if view.resumes else {}),
                        **later,
                    },
                )
            except ClientError as error:
                if error_code(error) != "ConditionalCheckFailedException":
                    raise
                return False
            return True

        return self._patiently(update)

    def statement(
        self, wallet: AccountKey, *, limit: int, before: int | None = None
    ) -> Sequence[StatementLine]:
        older = {} if before is None else {":before": _n(before)}
        items = self._query(
            TableName=self._tables.accounts,
            IndexName="by_number",
            KeyConditionExpression="account = :account"
            + (" AND line_number < :before" if older else ""),
            ExpressionAttributeValues={":account": _s(_account_key(wallet)), **older},
            ScanIndexForward=False,
            Limit=limit,
        )
        return tuple(_line(wallet, item) for item in islice(items, limit))

    def line_number(self, wallet: AccountKey, entry_id: str) -> int | None:
        key = {"account": _s(_account_key(wallet)), "item": _s(f"line#{entry_id}")}
        item = self._get(self._tables.accounts, key)
        return None if item is None else _int(item, "line_number")

    def total(self, account: AccountKey) -> tuple[int, int]:
        buckets = list(
            self._query(
                TableName=self._tables.accounts,
                KeyConditionExpression="account = :account AND begins_with(#item, :total)",
                ExpressionAttributeNames={"#item": "item"},
                ExpressionAttributeValues={
                    ":account": _s(_account_key(account)),
                    ":total": _s("total#"),
                },
                ConsistentRead=True,
            )
        )
        return (
            sum(_int(bucket, "debits") for bucket in buckets),
            sum(_int(bucket, "credits") for bucket in buckets),
        )

    # DynamoDB.

    def _get(self, table: str, key: Item) -> Item | None:
        answer = self._patiently(
            lambda: self._client.get_item(TableName=table, Key=key, ConsistentRead=True)
        )
        return answer.get("Item")

    def _batch(self, table: str, keys: list[Item]) -> tuple[list[Item], list[Item]]:
        """The items of these keys, and the keys that were left for another time."""
        wanted: Any = {table: {"Keys": keys, "ConsistentRead": True}}
        answer: Any = self._patiently(lambda: self._client.batch_get_item(RequestItems=wanted))
        left = answer.get("UnprocessedKeys", {}).get(table, {"Keys": []})
        return answer["Responses"].get(table, []), left["Keys"]

    def _get_together(self, table: str, keys: Sequence[Item]) -> Sequence[Item]:
        """Items as of one moment, empty ones where there are none."""
        gets: Any = [{"Get": {"TableName": table, "Key": key}} for key in keys]

        def read() -> Sequence[Item]:
            try:
                answer = self._client.transact_get_items(TransactItems=gets)
            except ClientError as error:
                if stopped(error):
                    raise StoppedError from error
                raise
            found: Any = answer["Responses"]
            return [response.get("Item", {}) for response in found]

        return self._patiently(read)

    def _query(self, **request: Any) -> Iterator[Item]:
        while True:
            answer = self._patiently(lambda: self._client.query(**request))
            yield from answer["Items"]
            if "LastEvaluatedKey" not in answer:
                return
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def _put(self, table: str, item: Item, key: str) -> Item:
        """A put that nothing may stand in the way of; what does comes back with the failure."""
        return {
            "Put": {
                "TableName": table,
                "Item": item,
                "ConditionExpression": "attribute_not_exists(#key)",
                "ExpressionAttributeNames": {"#key": key},
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        }

    def _transact(self, items: Any) -> Sequence[_Reason] | None:
        """Write all items or none; `None` is success, else why each item stopped it or did not."""

        def write() -> Sequence[_Reason] | None:
            try:
                self._client.transact_write_items(TransactItems=items)
            except ClientError as error:
                if error_code(error) != "TransactionCanceledException":
                    raise
                given: Any = error.response.get("CancellationReasons", ())
                reasons = [
                    _Reason(failed=reason.get("Code") == FAILED, item=reason.get("Item"))
                    for reason in given
                ]
                if any(reason.failed for reason in reasons):
                    return reasons
                if stopped(error):
                    raise StoppedError from error
                raise
            return None

        return self._patiently(write)


def _fitting(advances: Sequence[Advance]) -> Iterator[Sequence[Advance]]:
    """The advances, as many at a time as fit into a transaction with the totals that they move."""
    chunk: list[Advance] = []
    accounts: set[AccountKey] = set()
    for change in advances:
        moved = {account for account, _ in change.totals}
        if chunk and len(chunk) + 1 + len(accounts | moved) > ITEMS_MAX:
            yield chunk
            chunk, accounts = [], set()
        chunk.append(change)
        accounts |= moved
    if chunk:
        yield chunk


# Items.


def _s(text: str) -> Item:
    return {"S": text}


def _n(number: int) -> Item:
    return {"N": str(number)}


def _int(item: Item, name: str) -> int:
    return int(item[name]["N"])


def _text(item: Item, name: str) -> str:
    return str(item[name]["S"])


def _time(item: Item, name: str) -> datetime:
    return datetime.fromisoformat(_text(item, name))


def _iso(moment: datetime) -> Item:
    return _s(moment.isoformat(timespec="milliseconds"))


def _found(reason: _Reason) -> Item:
    if reason.item is None:
        raise LookupError("the item that stood in the way did not come back")
    return reason.item


def _update(
    table: str,
    key: Item,
    expression: str,
    values: Mapping[str, Item],
    *,
    condition: str | None = None,
    names: Mapping[str, str] | None = None,
) -> Item:
    update: Item = {
        "TableName": table,
        "Key": key,
        "UpdateExpression": expression,
        "ExpressionAttributeValues": dict(values),
    }
    if condition:
        update["ConditionExpression"] = condition
    if names:
        update["ExpressionAttributeNames"] = dict(names)
    return {"Update": update}


def _wallet_key(tenant_id: str, account_id: str) -> str:
    return f"{tenant_id}#{wallet_account(account_id)}"


def _account_key(key: AccountKey) -> str:
    """A wallet has one currency, so its key need not say it and is found without it."""
    name = f"{key.tenant_id}#{key.account}"
    return name if is_wallet(key.account) else f"{name}#{key.currency}"


def _event_item(row: Row) -> Item:
    item = {
        "stream": _s(row.stream),
        "version": _n(row.version),
        "tenant_id": _s(row.tenant_id),
        "type": _s(row.type),
        "schema_version": _n(row.schema_version),
        "recorded_at": _s(row.recorded_at),
        "data": _s(row.data),
        "hash": _s(row.hash),
    }
    if row.execution is not None:
        item["execution"] = _s(row.execution)
    if row.entry is not None:
        item["entry"] = _s(row.entry)
    return item


def row_from_item(item: Item) -> Row:
    return Row(
        stream=_text(item, "stream"),
        version=_int(item, "version"),
        tenant_id=_text(item, "tenant_id"),
        type=_text(item, "type"),
        schema_version=_int(item, "schema_version"),
        recorded_at=_text(item, "recorded_at"),
        execution=_text(item, "execution") if "execution" in item else None,
        data=_text(item, "data"),
        entry=_text(item, "entry") if "entry" in item else None,
        hash=_text(item, "hash"),
    )


def _receipt_item(receipt: Receipt) -> Item:
    return {
        "id": _s(f"{receipt.tenant_id}#{receipt.key}"),
        "tenant_id": _s(receipt.tenant_id),
        "idempotency_key": _s(receipt.key),
        "route": _s(receipt.route),
        "object_id": _s(receipt.object_id),
        "recorded_at": _iso(receipt.recorded_at),
        "fingerprint": {"M": {name: _s(value) for name, value in receipt.fingerprint.items()}},
        "version": _n(receipt.version),
        **({} if receipt.refusal is None else {"refusal": _s(receipt.refusal)}),
    }


def _receipt(item: Item) -> Receipt:
    return Receipt(
        tenant_id=_text(item, "tenant_id"),
        key=_text(item, "idempotency_key"),
        route=_text(item, "route"),
        object_id=_text(item, "object_id"),
        recorded_at=_time(item, "recorded_at"),
        fingerprint={name: str(value["S"]) for name, value in item["fingerprint"]["M"].items()},
        version=_int(item, "version"),
        refusal=Refusal.named(_text(item, "refusal")) if "refusal" in item else None,
    )


def _wallet_items(profile: Profile) -> Iterable[Item]:
    key = {"account": _s(_wallet_key(profile.tenant_id, profile.account_id))}
    yield _profile_item(profile)
    yield key | {"item": _s("#guard"), "spendable": _n(-profile.min_balance_minor)}
    yield key | {"item": _s("#position"), "balance": _n(0), "number": _n(0), "held": _n(0)}
    if profile.parent is not None:
        yield {
            "account": _s(_wallet_key(profile.tenant_id, profile.parent)),
            "item": _s(f"{BALANCE}{profile.account_id}"),
        }


def _profile_item(profile: Profile) -> Item:
    item = {
        "account": _s(_wallet_key(profile.tenant_id, profile.account_id)),
        "item": _s("#profile"),
        "tenant_id": _s(profile.tenant_id),
        "account_id": _s(profile.account_id),
        "currency": _s(profile.currency),
        "kind": _s(profile.kind),
        "opened_at": _iso(profile.opened_at),
        "min_balance": _n(profile.min_balance_minor),
        "priority": _n(profile.priority),
    }
    if profile.parent is not None:
        item["parent"] = _s(profile.parent)
    for name, moment in (("expires_at", profile.expires_at), ("closes_at", profile.closes_at)):
        if moment is not None:
            item[name] = _iso(moment)
    return item


def _profile(item: Item) -> Profile:
    return Profile(
        min_balance_minor=_int(item, "min_balance") if "min_balance" in item else 0,
        priority=_int(item, "priority") if "priority" in item else 0,
        parent=_text(item, "parent") if "parent" in item else None,
        expires_at=_time(item, "expires_at") if "expires_at" in item else None,
        closes_at=_time(item, "closes_at") if "closes_at" in item else None,
        tenant_id=_text(item, "tenant_id"),
        account_id=_text(item, "account_id"),
        currency=_text(item, "currency"),
        kind=AccountKind(_text(item, "kind")),
        opened_at=_time(item, "opened_at"),
    )


def _held(position: Item) -> int:
    """What is put aside of a wallet; positions from before there were holds do not say."""
    return _int(position, "held") if "held" in position else 0


def _hold_item(account: str, reserved: Reserved) -> Item:
    item = {
        "account": _s(account),
        "item": _s(f"{HOLD}{reserved.stream}"),
        "version": _n(reserved.version),
        "amount": _n(reserved.amount_minor),
    }
    if reserved.expires_at is not None:
        item["expires_at"] = _iso(reserved.expires_at)
    return item


def _reserved(item: Item) -> Reserved:
    return Reserved(
        stream=_text(item, "item").removeprefix(HOLD),
        version=_int(item, "version"),
        amount_minor=_int(item, "amount"),
        expires_at=_time(item, "expires_at") if "expires_at" in item else None,
    )


def _line_item(account: str, numbered: StatementLine) -> Item:
    line = numbered.line
    return {
        "account": _s(account),
        "item": _s(f"line#{line.entry_id}"),
        "line_number": _n(numbered.number),
        "entry_id": _s(line.entry_id),
        "side": _s(line.leg.side),
        "amount": _n(line.leg.amount.minor),
        "balance_after": _n(numbered.balance_after_minor),
        "recorded_at": _iso(line.recorded_at),
    }


def _line(wallet: AccountKey, item: Item) -> StatementLine:
    return StatementLine(
        line=Line(
            entry_id=_text(item, "entry_id"),
            leg=Leg(
                account=wallet.account,
                side=Side(_text(item, "side")),
                amount=Money(_int(item, "amount"), wallet.currency),
            ),
            recorded_at=_time(item, "recorded_at"),
        ),
        number=_int(item, "line_number"),
        balance_after_minor=_int(item, "balance_after"),
    )


def _view_item(view: View) -> Item:
    from florin.adapters.search import KEY_OF, keys_of  # noqa: PLC0415  # no step has views moved

    texts = {
        "stream": view.stream,
        "tenant_id": view.tenant_id,
        "kind": view.kind,
        "status": view.status,
        "recipient": view.recipient,
        "payer": view.payer,
        "order_id": view.order_id,
        "due_key": None if view.due_at is None else _due_key(view.stream),
        **{KEY_OF[index]: key for index, key in keys_of(view).items()},
    }
    item = {name: _s(text) for name, text in texts.items() if text is not None}
    return item | {
        "version": _n(view.version),
        "created_at": _iso(view.created_at),
        "updated_at": _iso(view.updated_at),
        **({} if view.due_at is None else {"due_at": _iso(view.due_at)}),
        **({"resumes": _n(view.resumes)} if view.resumes else {}),
        **({} if view.payment is None else _summary_item(view.payment)),
    }


def _due_key(stream: str) -> str:
    """Due streams are spread, so that many at once do not meet in one partition."""
    return str(zlib.crc32(stream.encode()) % DUE_BUCKETS)


def _summary_item(summary: PaymentSummary) -> Item:
    item = {
        "amount": _n(summary.amount.minor),
        "currency": _s(summary.amount.currency),
        "captured": _n(summary.captured_minor),
        "refunded": _n(summary.refunded_minor),
    }
    if summary.fee_minor is not None:
        item["fee"] = _n(summary.fee_minor)
    if summary.description is not None:
        item["description"] = _s(summary.description)
    return item


def _view(item: Item) -> View:
    return View(
        stream=_text(item, "stream"),
        tenant_id=_text(item, "tenant_id"),
        kind=_text(item, "kind"),
        status=_text(item, "status"),
        version=_int(item, "version"),
        created_at=_time(item, "created_at"),
        updated_at=_time(item, "updated_at"),
        recipient=_text_or_none(item, "recipient"),
        payer=_text_or_none(item, "payer"),
        order_id=_text_or_none(item, "order_id"),
        payment=_summary(item) if "amount" in item else None,
        due_at=_time(item, "due_at") if "due_at" in item else None,
        resumes=_int(item, "resumes") if "resumes" in item else 0,
    )


def _summary(item: Item) -> PaymentSummary:
    return PaymentSummary(
        amount=Money(_int(item, "amount"), _text(item, "currency")),
        captured_minor=_int(item, "captured"),
        refunded_minor=_int(item, "refunded"),
        fee_minor=_int(item, "fee") if "fee" in item else None,
        description=_text_or_none(item, "description"),
    )


def _text_or_none(item: Item, name: str) -> str | None:
    return _text(item, name) if name in item else None
