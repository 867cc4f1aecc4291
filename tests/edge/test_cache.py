"""What is remembered, for how long, and what is not."""

from florin.adapters.memory import Memory, MemoryConfig
from florin.edge.cache import ENTRIES_MAX, CachedAccounts, CachedConfig, Recent
from florin.ports import ProviderRoute, Tenant
from tests.functions.world import tenant
from tests.support.examples import TENANT, opened_account


class Source:
    """Finds what it has, and counts how often it was asked."""

    def __init__(self) -> None:
        self.now = 0.0
        self.values: dict[str, str] = {}
        self.asked = 0
        self.recent: Recent[str, str] = Recent(lambda: self.now)

    def find(self, key: str) -> str | None:
        self.asked += 1
        return self.values.get(key)

    def get(self, key: str) -> str | None:
        return self.recent.get(key, lambda: self.find(key))


def test_what_was_found_is_kept_for_half_a_minute() -> None:
    source = Source()
    source.values["a"] = "old"
    assert source.get("a") == "old"
    source.values["a"] = "new"
    source.now = 29.9
    assert source.get("a") == "old"
    source.now = 30.0
    assert source.get("a") == "new"
    assert source.asked == 2


def test_what_was_not_found_is_asked_for_again() -> None:
    source = Source()
    assert source.get("a") is None
    source.values["a"] = "here"
    assert source.get("a") == "here"


def test_what_is_gone_is_gone_after_half_a_minute() -> None:
    source = Source()
    source.values["a"] = "here"
    source.get("a")
    del source.values["a"]
    source.now = 31.0
    assert source.get("a") is None
    assert source.get("a") is None


def test_the_oldest_makes_room() -> None:
    source = Source()
    for number in range(ENTRIES_MAX + 1):
        source.values[str(number)] = ""
        source.get(str(number))
    asked = source.asked
    source.get("1")
    assert source.asked == asked
    source.get("0")
    assert source.asked == asked + 1


def test_profiles_are_remembered_by_tenant_and_wallets_are_not() -> None:
    store = Memory()
    account_id = opened_account(store)
    cached = CachedAccounts(store)
    profile = cached.profile(TENANT, account_id)
    assert profile is not None
    assert cached.profile(TENANT, account_id) is profile
    assert cached.profile("tn_venice", account_id) is None
    assert cached.wallet(profile) == store.wallet(profile)


def test_configuration_is_remembered() -> None:
    tenants: dict[str, Tenant] = {TENANT: tenant()}
    routes = {"simulator": ProviderRoute(name="simulator", url="http://simulator")}
    cached = CachedConfig(MemoryConfig(tenants=tenants, routes=routes))
    assert cached.tenant(TENANT) == tenant()
    assert cached.provider_route("simulator") == routes["simulator"]
    tenants.clear()
    assert cached.tenant(TENANT) == tenant()
    assert cached.tenant("tn_venice") is None
    assert cached.gateway_key(TENANT) is None
