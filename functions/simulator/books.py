"""The simulator's books in DynamoDB: every operation, and what became of each charge.

    book              item                   holds
    key#{key}         operation              an operation, put once under its idempotency key
    order#{order}     {reference} {key}      the same operation, beside all others of its order
    charge#{id}       charge                 what is held or was taken
    turned#{ref}      count                  how often a request was turned away, nothing done

Operations never change. An order is what the caller's reference names before its first colon, so
whoever wants to know whether somebody was charged twice reads one partition, consistently.

An operation and what it does to its charge are one transaction, whose conditions keep what the
books promise: one operation per key; captured at most what was authorized, and nothing after a
final capture; nothing voided after a capture, nothing captured after a void; given back at most
what was captured. Two keys are two operations, also for one
reference: a caller that asks twice is to be seen charging twice.
"""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from florin.adapters.aws import error_code
from florin.adapters.patience import BUSY_REASONS
from simulator.tokens import Decline, Kind

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Item = dict[str, Any]
"""An item in DynamoDB's own notation, or a part of a request."""
Expression = tuple[str, Mapping[str, Item]]
"""A condition or an update, and the values in it."""

CONFLICT_TRIES_MAX: Final = 6
CONFLICT_PAUSE_S: Final = 0.02
FAILED: Final = "ConditionalCheckFailed"


class State(StrEnum):
    """Of a charge. A capture ends it: what it leaves is let go."""

    AUTHORIZED = "authorized"
    CAPTURED = "captured"
    VOIDED = "voided"


class Refusal(StrEnum):
    """Why nothing was done. No refusal is bound to the idempotency key it came with."""

    CHARGE_NOT_FOUND = "charge_not_found"
    CHARGE_CAPTURED = "charge_captured"
    CHARGE_VOIDED = "charge_voided"
    AMOUNT_EXCEEDS_AUTHORIZATION = "amount_exceeds_authorization"
    AMOUNT_EXCEEDS_CAPTURED = "amount_exceeds_captured"
    IDEMPOTENCY_KEY_REUSED = "idempotency_key_reused"
    IN_FLIGHT = "in_flight"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What was asked and, by `decline`, what was answered. `charge` is None if none came to be.

    `hidden_until` is from when on a look-up shows it, if not at once.
    """

    kind: Kind
    reference: str
    idempotency_key: str
    fingerprint: str
    amount: int
    currency: str
    charge: str | None
    brand: str
    last4: str
    decline: Decline | None
    created_at: str
    hidden_until: str | None = None

    @property
    def order(self) -> str:
        return order_of(self.reference)


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    charge_id: str
    reference: str
    payment_method: str
    authorized: int
    captured: int
    refunded: int
    currency: str
    state: State


@dataclass(frozen=True, slots=True)
class Done:
    """The operation as it stands in the books, written now or, if `replayed`, before."""

    operation: Operation
    replayed: bool


def order_of(reference: str) -> str:
    return reference.partition(":")[0]


class Books:
    """The simulator's table."""

    def __init__(
        self,
        client: "DynamoDBClient",
        table: str,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._table = table
        self._pause = pause

    # What is asked of them.

    def charge(self, charge_id: str) -> Charge | None:
        found = self._client.get_item(
            TableName=self._table, Key=_charge_key(charge_id), ConsistentRead=True
        )
        return _charge(found["Item"]) if "Item" in found else None

    def operations(self, order: str) -> tuple[Operation, ...]:
        """All operations of an order, first to last."""
        found: list[Operation] = []
        start: Item = {}
        while True:
            page: Any = self._client.query(
                TableName=self._table,
                KeyConditionExpression="book = :book",
                ExpressionAttributeValues={":book": {"S": f"order#{order}"}},
                ConsistentRead=True,
                **start,
            )
            found += [_operation(item) for item in page["Items"]]
            if "LastEvaluatedKey" not in page:
                return tuple(sorted(found, key=lambda operation: operation.created_at))
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    # What is written into them.

    def authorize(self, operation: Operation, charge: Charge | None) -> Done | Refusal:
        """Record an authorization, with the charge that it opens unless it was declined."""
        return self._write(operation, None if charge is None else self._put(_charge_item(charge)))

    def capture(self, operation: Operation, *, final: bool = True) -> Done | Refusal:
        """Record a capture of a charge of whose authorization at least its amount is left."""
        amount = {":amount": _n(operation.amount)}
        authorized = _state(State.AUTHORIZED)
        possible = ("charge_state = :authorized AND capturable >= :amount", amount | authorized)
        changed = (
            "SET capturable = capturable - :amount, captured = captured + :amount,"
            " refundable = refundable + :amount"
        )
        change: Expression = (changed, {})
        if final:
            change = (f"{changed}, charge_state = :captured", _state(State.CAPTURED))
        return self._write(operation, self._change(operation, possible, change))

    def refund(self, operation: Operation) -> Done | Refusal:
        """Record a refund of at most what was captured and not given back."""
        possible = ("refundable >= :amount", {":amount": _n(operation.amount)})
        change: Expression = ("SET refundable = refundable - :amount", {})
        return self._write(operation, self._change(operation, possible, change))

    def void(self, operation: Operation) -> Done | Refusal:
        """Record a void of a charge of which nothing was captured."""
        untouched = {**_state(State.AUTHORIZED), ":nothing": _n(0)}
        possible = ("charge_state = :authorized AND captured = :nothing", untouched)
        change = ("SET charge_state = :voided", _state(State.VOIDED))
        return self._write(operation, self._change(operation, possible, change))

    def turn_away(self, reference: str, times: int) -> bool:
        """Count one more request that is turned away, unless as many as `times` have been."""
        try:
            self._client.update_item(
                TableName=self._table,
                Key={"book": _s(f"turned#{reference}"), "item": _s("count")},
                UpdateExpression="ADD turned_away :one",
                ConditionExpression="attribute_not_exists(book) OR turned_away < :times",
                ExpressionAttributeValues={":one": _n(1), ":times": _n(times)},
            )
        except ClientError as error:
            if error_code(error) == "ConditionalCheckFailedException":
                return False
            raise
        return True

    def _write(self, operation: Operation, charge: Item | None) -> Done | Refusal:
        writes: Any = [
            self._put(_operation_item(operation, **_key_key(operation.idempotency_key))),
            self._put(_operation_item(operation, **_order_key(operation))),
        ]
        if charge is not None:
            writes.append(charge)
        for tried in range(CONFLICT_TRIES_MAX):
            try:
                self._client.transact_write_items(TransactItems=writes)
            except ClientError as error:
                if error_code(error) == "TransactionCanceledException":
                    judged = _judged(error.response, operation)
                    if judged is not None:
                        return judged
                elif error_code(error) != "TransactionInProgressException":
                    raise
            else:
                return Done(operation, replayed=False)
            self._pause(random.uniform(0, CONFLICT_PAUSE_S * 2**tried))  # noqa: S311  # jitter
        return Refusal.IN_FLIGHT

    def _put(self, item: Item) -> Item:
        return {
            "Put": {
                "TableName": self._table,
                "Item": item,
                "ConditionExpression": "attribute_not_exists(book)",
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        }

    def _change(self, operation: Operation, possible: Expression, change: Expression) -> Item:
        """Change the charge; for a decline, only make sure that it could have been changed."""
        assert operation.charge is not None
        condition, values = possible
        write: Item = {
            "TableName": self._table,
            "Key": _charge_key(operation.charge),
            "ConditionExpression": condition,
            "ExpressionAttributeValues": dict(values),
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        if operation.decline is not None:
            return {"ConditionCheck": write}
        write["UpdateExpression"], changed = change
        write["ExpressionAttributeValues"] |= changed
        return {"Update": write}


def _judged(response: Any, operation: Operation) -> Done | Refusal | None:
    """Why a transaction was canceled: the key first, then conflicts (None), then the charge."""
    reasons = response["CancellationReasons"]
    key, charge = reasons[0], reasons[-1]
    if key["Code"] == FAILED:
        before = _operation(key["Item"])
        if before.fingerprint != operation.fingerprint:
            return Refusal.IDEMPOTENCY_KEY_REUSED
        return Done(before, replayed=True)
    if charge["Code"] != FAILED or any(reason["Code"] in BUSY_REASONS for reason in reasons):
        return None
    if "Item" not in charge:
        return Refusal.CHARGE_NOT_FOUND
    match operation.kind, _charge(charge["Item"]).state:
        case Kind.REFUND, _:
            return Refusal.AMOUNT_EXCEEDS_CAPTURED
        case _, State.VOIDED:
            return Refusal.CHARGE_VOIDED
        case (_, State.CAPTURED) | (Kind.VOID, _):
            return Refusal.CHARGE_CAPTURED
        case _:
            return Refusal.AMOUNT_EXCEEDS_AUTHORIZATION


# Items.


def _s(value: str) -> Item:
    return {"S": value}


def _n(value: int) -> Item:
    return {"N": str(value)}


def _state(state: State) -> Item:
    return {f":{state}": _s(state)}


def _key_key(idempotency_key: str) -> Item:
    return {"book": _s(f"key#{idempotency_key}"), "item": _s("operation")}


def _order_key(operation: Operation) -> Item:
    # Neither a reference nor a key has a space in it.
    item = f"{operation.reference} {operation.idempotency_key}"
    return {"book": _s(f"order#{operation.order}"), "item": _s(item)}


def _charge_key(charge_id: str) -> Item:
    return {"book": _s(f"charge#{charge_id}"), "item": _s("charge")}


def _operation_item(operation: Operation, **key: Item) -> Item:
    item = {
        **key,
        "operation": _s(operation.kind),
        "reference": _s(operation.reference),
        "idempotency_key": _s(operation.idempotency_key),
        "fingerprint": _s(operation.fingerprint),
        "amount": _n(operation.amount),
        "currency": _s(operation.currency),
        "brand": _s(operation.brand),
        "last4": _s(operation.last4),
        "status": _s("approved" if operation.decline is None else "declined"),
        "created_at": _s(operation.created_at),
    }
    if operation.charge is not None:
        item["charge"] = _s(operation.charge)
    if operation.hidden_until is not None:
        item["hidden_until"] = _s(operation.hidden_until)
    if operation.decline is not None:
        item["code"] = _s(operation.decline.code)
        item["hardness"] = _s(operation.decline.hardness)
        item["message"] = _s(operation.decline.message)
    return item


def _operation(item: Item) -> Operation:
    decline = None
    if item["status"]["S"] == "declined":
        decline = Decline(
            code=item["code"]["S"], hardness=item["hardness"]["S"], message=item["message"]["S"]
        )
    return Operation(
        kind=Kind(item["operation"]["S"]),
        reference=item["reference"]["S"],
        idempotency_key=item["idempotency_key"]["S"],
        fingerprint=item["fingerprint"]["S"],
        amount=int(item["amount"]["N"]),
        currency=item["currency"]["S"],
        charge=item["charge"]["S"] if "charge" in item else None,
        brand=item["brand"]["S"],
        last4=item["last4"]["S"],
        decline=decline,
        created_at=item["created_at"]["S"],
        hidden_until=item["hidden_until"]["S"] if "hidden_until" in item else None,
    )


def _charge_item(charge: Charge) -> Item:
    return {
        **_charge_key(charge.charge_id),
        "charge": _s(charge.charge_id),
        "reference": _s(charge.reference),
        "payment_method": _s(charge.payment_method),
        "authorized": _n(charge.authorized),
        "captured": _n(charge.captured),
        "capturable": _n(charge.authorized - charge.captured),
        "refundable": _n(charge.captured - charge.refunded),
        "currency": _s(charge.currency),
        "charge_state": _s(charge.state),
    }


def _charge(item: Item) -> Charge:
    return Charge(
        charge_id=item["charge"]["S"],
        reference=item["reference"]["S"],
        payment_method=item["payment_method"]["S"],
        authorized=int(item["authorized"]["N"]),
        captured=int(item["captured"]["N"]),
        refunded=int(item["captured"]["N"]) - int(item["refundable"]["N"]),
        currency=item["currency"]["S"],
        state=State(item["charge_state"]["S"]),
    )
