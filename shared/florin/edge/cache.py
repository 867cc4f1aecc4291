"""What a warm function remembers for half a minute, so that its next request need not ask.

Only what was found is remembered: what is written is there for everybody at once, and what is
taken back may be used for 30 seconds more.
"""

import time
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

from florin.ports import Accounts, Config, Profile, ProviderRoute, Reserved, Tenant, Wallet

KEPT_FOR_S: Final = 30.0
ENTRIES_MAX: Final = 1_000
"""The oldest goes when one more comes, so that a busy function does not grow."""

Key = TypeVar("Key")
Value = TypeVar("Value")

Now = Callable[[], float]
"""Seconds of a clock that never goes back."""


class Recent(Generic[Key, Value]):
    """Values found in the last 30 seconds."""

    def __init__(self, now: Now) -> None:
        self._now = now
        self._found: dict[Key, tuple[Value, float]] = {}

    def get(self, key: Key, find: Callable[[], Value | None]) -> Value | None:
        """What is remembered under `key`, or what `find` finds now."""
        kept = self._found.get(key)
        if kept is not None and self._now() < kept[1]:
            return kept[0]
        self._found.pop(key, None)  # so that what is found again counts as young
        value = find()
        if value is not None:
            if len(self._found) >= ENTRIES_MAX:
                del self._found[next(iter(self._found))]
            self._found[key] = (value, self._now() + KEPT_FOR_S)
        return value

    def forget(self, key: Key) -> None:
        """Ask anew next time."""
        self._found.pop(key, None)


class CachedAccounts:
    """Accounts whose profiles are remembered. Money never is: wallets are read each time."""

    def __init__(self, accounts: Accounts, now: Now = time.monotonic) -> None:
        self._accounts = accounts
        self._profiles: Recent[tuple[str, str], Profile] = Recent(now)

    def profile(self, tenant_id: str, account_id: str, *, fresh: bool = False) -> Profile | None:
        if fresh:
            self._profiles.forget((tenant_id, account_id))
        return self._profiles.get(
            (tenant_id, account_id), lambda: self._accounts.profile(tenant_id, account_id)
        )

    def wallet(self, profile: Profile) -> Wallet:
        return self._accounts.wallet(profile)

    def balances(self, profile: Profile) -> Sequence[Profile]:
        return self._accounts.balances(profile)

    def reserved(self, profile: Profile) -> Sequence[Reserved]:
        return self._accounts.reserved(profile)


class CachedConfig:
    """Configuration that is remembered."""

    def __init__(self, config: Config, now: Now = time.monotonic) -> None:
        self._config = config
        self._tenants: Recent[str, Tenant] = Recent(now)
        self._gateway_keys: Recent[str, str] = Recent(now)
        self._routes: Recent[str, ProviderRoute] = Recent(now)

    def tenant(self, tenant_id: str) -> Tenant | None:
        return self._tenants.get(tenant_id, lambda: self._config.tenant(tenant_id))

    def gateway_key(self, tenant_id: str) -> str | None:
        return self._gateway_keys.get(tenant_id, lambda: self._config.gateway_key(tenant_id))

    def provider_route(self, name: str) -> ProviderRoute | None:
        return self._routes.get(name, lambda: self._config.provider_route(name))
