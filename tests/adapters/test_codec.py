"""The codec: what was stored stays readable, whatever the code looks like today."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, cast, get_args

import pytest

from florin.adapters.codec import SCHEMAS, Codec, CorruptEventError, Row, Schema, verify
from florin.adapters.memory import Memory
from florin.domain.account import AccountKind, AccountOpened
from florin.domain.history import Event
from florin.domain.payment import (
    Held,
    Payment,
    PaymentEvent,
    ProviderKeyExpired,
    StartCall,
    decide,
    fold,
)
from tests.support.examples import NOON, accepted_payment, facts, opened_account


def account_row(version: int, data: str) -> Row:
    return Row(
        stream="acct_1",
        version=1,
        tenant_id="tn_florence",
        type="account.opened",
        schema_version=version,
        recorded_at="2026-11-21T12:00:00.000+00:00",
        execution=None,
        data=data,
        entry=None,
    ).sealed("")


def name_the_kind(data: dict[str, Any]) -> dict[str, Any]:
    """Version 1 called the kind a role."""
    return {**data, "kind": data.pop("role")}


def split_the_owner(data: dict[str, Any]) -> dict[str, Any]:
    """Version 2 had tenant and currency in one field."""
    tenant_id, _, currency = data.pop("owner").partition("/")
    return {**data, "tenant_id": tenant_id, "currency": currency}


CODEC_TODAY = Codec()
CODEC = Codec([Schema("account.opened", AccountOpened, (name_the_kind, split_the_owner))])
OPENED = AccountOpened(tenant_id="tn_florence", currency="EUR", kind=AccountKind.SELLER)


@pytest.mark.parametrize(
    ("version", "data"),
    [
        (1, '{"owner": "tn_florence/EUR", "role": "seller"}'),
        (2, '{"owner": "tn_florence/EUR", "kind": "seller"}'),
        (3, '{"tenant_id": "tn_florence", "currency": "EUR", "kind": "seller"}'),
    ],
)
def test_an_old_event_is_brought_up_to_date(version: int, data: str) -> None:
    row = account_row(version, data)
    assert CODEC.decode(row).event == OPENED
    verify([row])  # the chain covers what is stored, not what it has become


# A payment of the time when every attempt had a key of its own, as it was stored.
MONEY = '{"minor": 1000, "currency": "EUR"}'
CALL = '"operation": "authorization", "operation_id": "authorization", "attempt"'
ASKED = '"reference": "pay_1:authorization", "owner": "me", "deadline": "2026-11-21T12:00:12Z"'
INITIATED = (
    f'{{"tenant_id": "tn_florence", "amount": {MONEY}, "payment_method": "tok_visa",'
    ' "recipient": "acct_silk", "provider": "simulator", "fee_terms": {"basis_points": 300,'
    ' "fixed_minor": 0, "on_refund": "proportional"}, "capture_method": "manual"}'
)
OLD = (
    ("payment.initiated", INITIATED),
    ("payment.risk_assessed", '{"decision": "allow", "assessor": "pass"}'),
    ("payment.call_started", f"{{{CALL}: 1, {ASKED}}}"),
    ("payment.call_not_attempted", f'{{{CALL}: 1, "reason": "not_found", "certain": false}}'),
    ("payment.call_started", f"{{{CALL}: 2, {ASKED}}}"),
    ("payment.call_not_attempted", f'{{{CALL}: 2, "reason": "not_found", "certain": false}}'),
    ("payment.call_started", f"{{{CALL}: 3, {ASKED}}}"),
    ("payment.authorized", f'{{"amount": {MONEY}, "provider_reference": "ch_1", "method": null}}'),
)


def old_payment(length: int) -> Payment:
    stored = [
        CODEC_TODAY.decode(replace(account_row(1, data), stream="pay_1", type=name)).event
        for name, data in OLD[:length]
    ]
    return fold(cast("list[PaymentEvent]", stored))


def test_attempts_with_keys_of_their_own_still_fold() -> None:
    held = old_payment(len(OLD))
    assert isinstance(held, Held)
    assert [doubt.call.idempotency_key for doubt in held.doubts] == [
        "pay_1:authorization:1",
        "pay_1:authorization:2",
    ], "what was sent under another key may still show"


def test_an_old_attempt_of_which_nobody_heard_is_not_sent_again() -> None:
    again = StartCall(
        payment_id="pay_1",
        operation_id="authorization",
        owner="me",
        deadline=NOON,
        key_until=NOON + timedelta(days=1),
    )
    (fact,) = facts(decide(again, old_payment(4)))
    assert isinstance(fact, ProviderKeyExpired)


@pytest.mark.parametrize(
    "row",
    [
        account_row(4, "{}"),
        account_row(0, "{}"),
        account_row(3, "{"),
        account_row(3, '{"tenant_id": "tn_florence", "currency": "EUR"}'),
        account_row(3, '{"tenant_id": "tn_florence", "currency": "EUR", "kind": "nobleman"}'),
        account_row(2, '{"kind": "seller"}'),
        replace(account_row(3, "{}"), type="account.burnt"),
        replace(
            account_row(3, '{"tenant_id": "t", "currency": "E", "kind": "seller"}'), entry="{}"
        ),
    ],
)
def test_what_cannot_have_been_written_is_corruption(row: Row) -> None:
    with pytest.raises(CorruptEventError, match="acct_1 v1"):
        CODEC.decode(row)


def test_every_event_has_a_schema_and_every_name_is_used_once() -> None:
    assert {schema.event for schema in SCHEMAS} == set(get_args(Event))
    assert len({schema.name for schema in SCHEMAS}) == len(SCHEMAS)


@pytest.mark.parametrize(
    ("field", "forged"),
    [
        ("tenant_id", "tn_venice"),
        ("recorded_at", "2026-11-21T11:59:59.999+00:00"),
        ("type", "payment.failed"),
        ("schema_version", 2),
        ("execution", "arn:forged"),
        ("data", '{"forged": true}'),
        ("entry", "{}"),
    ],
)
def test_a_change_to_any_stored_field_breaks_the_chain(field: str, forged: object) -> None:
    store = Memory()
    payment_id = accepted_payment(store)
    (row,) = store.rows(payment_id)
    verify([row])
    with pytest.raises(CorruptEventError, match="breaks at version 1"):
        verify([replace(row, **{field: forged})])  # type: ignore[arg-type]  # of any field


def test_an_event_of_one_stream_does_not_fit_into_another() -> None:
    store = Memory()
    (row,) = store.rows(opened_account(store))
    with pytest.raises(CorruptEventError, match="breaks at version 1"):
        verify([replace(row, stream="acct_other")])
