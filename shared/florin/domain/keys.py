"""API keys: what they open, who may make them, and when they end.

A key may do what its role says, or what its scopes say one by one. Nobody makes, rolls or revokes
a key that may do more than the own one: otherwise any key were as good as the best.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from florin.domain.refusals import Refusal


class Role(StrEnum):
    """What a key is for. Values go on the wire: add, never rename."""

    ADMIN = "admin"
    DEVELOPER = "developer"
    OPERATOR = "operator"
    FINANCE = "finance"
    READ_ONLY = "read_only"


class Scope(StrEnum):
    """What a call needs, as `resource:action`. Values go on the wire: add, never rename."""

    PAYMENTS_READ = "payments:read"
    PAYMENTS_WRITE = "payments:write"
    PAYMENTS_REFUND = "payments:refund"
    PAYMENTS_RESOLVE = "payments:resolve"
    ACCOUNTS_READ = "accounts:read"
    ACCOUNTS_WRITE = "accounts:write"
    HOLDS_READ = "holds:read"
    HOLDS_WRITE = "holds:write"
    LEDGER_READ = "ledger:read"
    LEDGER_VERIFY = "ledger:verify"
    DEAD_LETTERS_READ = "dead_letters:read"
    DEAD_LETTERS_REDRIVE = "dead_letters:redrive"
    API_KEYS_READ = "api_keys:read"
    API_KEYS_WRITE = "api_keys:write"
    STACK_OPERATE = "stack:operate"


STACK_SCOPES: Final = frozenset({Scope.PAYMENTS_RESOLVE, Scope.STACK_OPERATE})
"""What only operators of the stack may: to say what a provider did, where the provider does not
say it itself, and to see what belongs to no tenant. A tenant's admin cannot give it to anybody.
"""

_READS: Final = frozenset(scope for scope in Scope if scope.endswith(":read"))

SCOPES: Final[Mapping[Role, frozenset[Scope]]] = {
    Role.ADMIN: frozenset(Scope) - STACK_SCOPES,
    Role.DEVELOPER: _READS
    | {
        Scope.PAYMENTS_WRITE,
        Scope.PAYMENTS_REFUND,
        Scope.ACCOUNTS_WRITE,
        Scope.HOLDS_WRITE,
        Scope.DEAD_LETTERS_REDRIVE,
        Scope.API_KEYS_WRITE,
    },
    Role.OPERATOR: _READS
    | STACK_SCOPES
    | {Scope.PAYMENTS_REFUND, Scope.LEDGER_VERIFY, Scope.DEAD_LETTERS_REDRIVE},
    Role.FINANCE: frozenset(
        {
            Scope.PAYMENTS_READ,
            Scope.ACCOUNTS_READ,
            Scope.HOLDS_READ,
            Scope.LEDGER_READ,
            Scope.LEDGER_VERIFY,
        }
    ),
    Role.READ_ONLY: _READS,
}
assert SCOPES.keys() == set(Role), "every role has its scopes"


class KeyStatus(StrEnum):
    """Whether a key opens anything. Values go on the wire: add, never rename."""

    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key without the key: it is known by its id and recognized by its keyed hash.

    Beside what its role opens it opens `scopes`. `expires_at` is what it was made with; a key that
    was rolled ends at `retires_at`, when its successor `rolled_to` has been there long enough.
    `version` grows with each change of what is said here but for `last_used_at`.
    """

    key_id: str
    tenant_id: str
    mode: str
    name: str
    secret_hash: str = field(repr=False)
    created_at: datetime
    role: Role | None = None
    scopes: frozenset[Scope] = frozenset()
    allowed_addresses: tuple[str, ...] = ()
    created_by: str | None = None
    expires_at: datetime | None = None
    rolled_from: str | None = None
    rolled_to: str | None = None
    retires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None
    version: int = 1

    @property
    def opens(self) -> frozenset[Scope]:
        """All that the key may do."""
        return self.scopes | (SCOPES[self.role] if self.role else frozenset())

    @property
    def ends_at(self) -> datetime | None:
        """When the key stops to open anything, unless it is revoked before."""
        ends = [end for end in (self.expires_at, self.retires_at) if end is not None]
        return min(ends, default=None)

    def status(self, now: datetime) -> KeyStatus:
        if self.revoked_at is not None:
            return KeyStatus.REVOKED
        if self.ends_at is not None and self.ends_at <= now:
            return KeyStatus.EXPIRED
        return KeyStatus.ACTIVE


def may_hand_out(holder: AbstractSet[Scope], wanted: AbstractSet[Scope]) -> Refusal | None:
    """Why who may do so much cannot make a key that may do what is wanted, if so."""
    return None if wanted <= holder else Refusal.SCOPE_ESCALATION


def roll(
    key: ApiKey, holder: AbstractSet[Scope], successor: str, now: datetime, overlap: timedelta
) -> ApiKey | Refusal:
    """The key once its successor is there: it lives on as long as they may overlap."""
    refusal = may_hand_out(holder, key.opens)
    if refusal is not None:
        return refusal
    if key.rolled_to is not None or key.status(now) is not KeyStatus.ACTIVE:
        return Refusal.API_KEY_NOT_ACTIVE
    return replace(key, rolled_to=successor, retires_at=now + overlap)


def revoke(key: ApiKey, holder: AbstractSet[Scope], now: datetime) -> ApiKey | Refusal:
    """The key once it is revoked; one that is revoked already stays as it is."""
    refusal = may_hand_out(holder, key.opens)
    if refusal is not None:
        return refusal
    return key if key.revoked_at is not None else replace(key, revoked_at=now)


# Addresses.


def network(text: str) -> str | None:
    """A network in CIDR notation as it is usually written, or None if the text names none.

    An address without a length is a network of one. Bits beside the length are a mistake.
    """
    try:
        return str(ip_network(text))
    except ValueError:
        return None


def is_within(address: str, networks: Sequence[str]) -> bool:
    """Whether an address is in one of the networks; what is no address is in none."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return any(found in _parsed(text) for text in networks)


def _parsed(text: str) -> IPv4Network | IPv6Network:
    return ip_network(text)


# Asking for something with a key.


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks, as far as it matters to whether he may."""

    tenant_id: str
    key_id: str
    mode: str
    scopes: frozenset[Scope]
    allowed_addresses: tuple[str, ...] = ()
    ends_at: datetime | None = None

    def refused(self, scope: Scope, address: str, now: datetime) -> Refusal | None:
        """Why this caller gets nothing that needs this scope, from there and now, if so."""
        if self.ends_at is not None and self.ends_at <= now:
            return Refusal.UNAUTHENTICATED
        if self.allowed_addresses and not is_within(address, self.allowed_addresses):
            return Refusal.ADDRESS_NOT_ALLOWED
        if scope not in self.scopes:
            return Refusal.SCOPE_MISSING
        return None
