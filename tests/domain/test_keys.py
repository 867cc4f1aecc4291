"""What a key opens, and what it may make of other keys."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from florin.domain.keys import (
    SCOPES,
    STACK_SCOPES,
    ApiKey,
    Caller,
    KeyStatus,
    Role,
    Scope,
    is_within,
    may_hand_out,
    network,
    revoke,
    roll,
)
from florin.domain.refusals import Refusal
from tests.support.examples import NOON

HOUR: Final = timedelta(hours=1)
KEY: Final = ApiKey(
    key_id="key_1",
    tenant_id="tn_florence",
    mode="test",
    name="webshop",
    secret_hash="hash",
    created_at=NOON,
    role=Role.DEVELOPER,
)
CALLER: Final = Caller(
    tenant_id="tn_florence",
    key_id="key_1",
    mode="test",
    scopes=frozenset({Scope.PAYMENTS_READ}),
    allowed_addresses=("203.0.113.0/24",),
    ends_at=NOON + HOUR,
)

scope_sets = st.frozensets(st.sampled_from(Scope))
keys = st.builds(
    lambda role, scopes: replace(KEY, role=role, scopes=scopes),
    st.none() | st.sampled_from(Role),
    scope_sets,
)


# Roles and scopes.


def test_scopes_are_a_resource_and_an_action() -> None:
    for scope in Scope:
        resource, action = scope.split(":")
        assert resource.isidentifier()
        assert action.isidentifier()


def test_no_tenants_role_opens_what_is_the_stacks() -> None:
    """So no admin can make a key that does, of whatever role."""
    for role in set(Role) - {Role.OPERATOR}:
        assert not SCOPES[role] & STACK_SCOPES, role
    assert SCOPES[Role.OPERATOR] >= STACK_SCOPES
    assert SCOPES[Role.ADMIN] | STACK_SCOPES == set(Scope)


def test_who_reads_only_changes_nothing() -> None:
    assert {scope.partition(":")[2] for scope in SCOPES[Role.READ_ONLY]} == {"read"}
    assert {scope.partition(":")[2] for scope in SCOPES[Role.FINANCE]} == {"read", "verify"}


def test_a_key_opens_what_its_role_and_its_scopes_say() -> None:
    assert replace(KEY, role=None).opens == frozenset()
    mixed = replace(KEY, role=Role.FINANCE, scopes=frozenset({Scope.STACK_OPERATE}))
    assert mixed.opens == SCOPES[Role.FINANCE] | {Scope.STACK_OPERATE}


@given(holder=scope_sets, wanted=scope_sets)
def test_key_scope_escalation_denied(holder: frozenset[Scope], wanted: frozenset[Scope]) -> None:
    refused = may_hand_out(holder, wanted)
    assert refused is (Refusal.SCOPE_ESCALATION if wanted - holder else None)


@given(holder=scope_sets, key=keys)
def test_nobody_rolls_or_revokes_a_key_that_may_more(holder: frozenset[Scope], key: ApiKey) -> None:
    for outcome in (roll(key, holder, "key_2", NOON, HOUR), revoke(key, holder, NOON)):
        assert (outcome is Refusal.SCOPE_ESCALATION) == bool(key.opens - holder)


# The end of a key.


@pytest.mark.parametrize(
    ("key", "now", "status"),
    [
        (KEY, NOON + 10_000 * HOUR, KeyStatus.ACTIVE),
        (replace(KEY, expires_at=NOON + HOUR), NOON, KeyStatus.ACTIVE),
        (replace(KEY, expires_at=NOON + HOUR), NOON + HOUR, KeyStatus.EXPIRED),
        (replace(KEY, retires_at=NOON + HOUR), NOON + HOUR, KeyStatus.EXPIRED),
        (replace(KEY, expires_at=NOON, retires_at=NOON + HOUR), NOON, KeyStatus.EXPIRED),
        (replace(KEY, expires_at=NOON + HOUR, retires_at=NOON), NOON, KeyStatus.EXPIRED),
        (replace(KEY, revoked_at=NOON), NOON, KeyStatus.REVOKED),
        (replace(KEY, revoked_at=NOON, expires_at=NOON), NOON, KeyStatus.REVOKED),
    ],
)
def test_a_key_is_active_until_it_ends(key: ApiKey, now: datetime, status: KeyStatus) -> None:
    assert key.status(now) is status


def test_a_rolled_key_lives_on_for_the_overlap_and_not_for_longer_than_it_would() -> None:
    rolled = roll(KEY, KEY.opens, "key_2", NOON, HOUR)
    assert rolled == replace(KEY, rolled_to="key_2", retires_at=NOON + HOUR)
    short = roll(replace(KEY, expires_at=NOON + HOUR), KEY.opens, "key_2", NOON, 9 * HOUR)
    assert isinstance(short, ApiKey)
    assert short.ends_at == NOON + HOUR
    at_once = roll(KEY, KEY.opens, "key_2", NOON, timedelta(0))
    assert isinstance(at_once, ApiKey)
    assert at_once.status(NOON) is KeyStatus.EXPIRED


@pytest.mark.parametrize(
    "ended",
    [
        replace(KEY, revoked_at=NOON),
        replace(KEY, expires_at=NOON),
        replace(KEY, rolled_to="key_9", retires_at=NOON + HOUR),
    ],
)
def test_what_has_ended_or_was_rolled_is_not_rolled(ended: ApiKey) -> None:
    assert roll(ended, KEY.opens, "key_2", NOON, HOUR) is Refusal.API_KEY_NOT_ACTIVE


def test_a_key_is_revoked_once() -> None:
    revoked = revoke(KEY, KEY.opens, NOON)
    assert revoked == replace(KEY, revoked_at=NOON)
    assert isinstance(revoked, ApiKey)
    assert revoke(revoked, KEY.opens, NOON + HOUR) is revoked


# Addresses.


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("203.0.113.7", "203.0.113.7/32"),
        ("203.0.113.0/24", "203.0.113.0/24"),
        ("2001:DB8::/32", "2001:db8::/32"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("203.0.113.7/24", None),
        ("203.0.113", None),
        ("203.0.113.0/33", None),
        ("example.com", None),
        ("", None),
        ("203.0.113.0/24 203.0.114.0/24", None),
    ],
)
def test_networks_are_written_as_usual(text: str, meant: str | None) -> None:
    assert network(text) == meant


@pytest.mark.parametrize(
    ("address", "inside"),
    [
        ("203.0.113.0", True),
        ("203.0.113.255", True),
        ("203.0.114.0", False),
        ("::ffff:203.0.113.9", True),
        ("::ffff:203.0.114.9", False),
        ("2001:db8::1", True),
        ("2001:db9::1", False),
        ("test-invoke-source-ip", False),
        ("", False),
    ],
)
def test_an_address_is_in_a_network_or_not(address: str, inside: bool) -> None:
    assert is_within(address, ("203.0.113.0/24", "2001:db8::/32")) is inside


# Callers.


@pytest.mark.parametrize(
    ("caller", "address", "now", "refused"),
    [
        (CALLER, "203.0.113.7", NOON, None),
        (replace(CALLER, allowed_addresses=(), ends_at=None), "", NOON + 99 * HOUR, None),
        (CALLER, "203.0.113.7", NOON + HOUR, Refusal.UNAUTHENTICATED),
        (CALLER, "203.0.114.7", NOON, Refusal.ADDRESS_NOT_ALLOWED),
        (CALLER, "", NOON, Refusal.ADDRESS_NOT_ALLOWED),
        (replace(CALLER, scopes=frozenset()), "203.0.113.7", NOON, Refusal.SCOPE_MISSING),
        (
            replace(CALLER, scopes=frozenset({Scope.PAYMENTS_WRITE})),
            "203.0.113.7",
            NOON,
            Refusal.SCOPE_MISSING,
        ),
    ],
)
def test_a_caller_gets_what_the_key_opens_from_where_and_when_it_may_be_used(
    caller: Caller, address: str, now: datetime, refused: Refusal | None
) -> None:
    assert caller.refused(Scope.PAYMENTS_READ, address, now) is refused
