"""`make verify`: have the books of each tenant verified, and print what was found.

Without more it asks the local stack of `make up`, for all of its tenants. A deployed stack is
asked for one tenant: FLORIN_API_URL=https://…/v1 FLORIN_API_KEY=sk_… make verify. The exit status
is 0 only if every currency balances, nothing was found, and nothing is left unsettled.
"""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from infra.client import Client, Json
from infra.local import Stack
from infra.paths import STATE

TIMEOUT_S = 1800.0
POLL_S = 0.5


def main() -> int:
    """Verify; 0 if all books hold."""
    tenants = list(_tenants(STATE))
    if not tenants:
        print("No stack: `make up` first, or set FLORIN_API_URL and FLORIN_API_KEY.")
        return 2
    held = [told(name, verified(client)) for name, client in tenants]
    return 0 if all(held) else 1


def _tenants(directory: Path) -> Iterator[tuple[str, Client]]:
    """Whose books are verified, and a client for each."""
    url, key = os.environ.get("FLORIN_API_URL"), os.environ.get("FLORIN_API_KEY")
    if url and key:
        yield url, Client(url.rstrip("/"), key)
        return
    stack = Stack.load(directory)
    for number, tenant in enumerate(stack.tenants if stack else ()):
        assert stack is not None
        yield tenant.name, Client.of(stack, number)


def verified(client: Client, timeout_s: float = TIMEOUT_S) -> Json:
    """The figures of a run that began after this call, or was under way."""
    asked = client.created("/ledger/verification", {})["verification_id"]
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        last: Json | None = client.get("/ledger/verification").body["last"]
        if last is not None and last["verification_id"] >= asked:
            return last
        time.sleep(POLL_S)
    raise AssertionError(f"{asked} did not finish within {timeout_s} s")


def told(name: str, run: Json) -> bool:
    """Print a run; whether the books hold."""
    checked = run["checked"]
    print(f"\n{name}: {run['verification_id']}, as of {run['cut_at']}")
    print(f"  {'currency':<10}{'debits':>20}{'credits':>20}{'difference':>16}")
    for sums in run["currencies"]:
        print(
            f"  {sums['currency']:<10}{sums['total_debits']:>20,}{sums['total_credits']:>20,}"
            f"{sums['difference']:>16,}"
        )
    print(
        f"  {checked['streams']} streams, {checked['entries']} entries,"
        f" {checked['accounts']} wallets with {checked['lines']} lines;"
        f" {run['in_flight']} entries in flight, {run['unsettled']} figures unsettled"
    )
    for finding in run["findings"]:
        print(
            f"  ✗ {finding['kind']} at {finding['at']}:"
            f" expected {finding['expected']}, found {finding['found']}"
        )
    more = run["findings_count"] - len(run["findings"])
    if more > 0:
        print(f"  ✗ and {more} more")
    holds = run["balanced"] and not run["findings_count"] and not run["unsettled"]
    print(f"  {'✓ the books hold' if holds else '✗ the books do not hold, or not for certain'}")
    return bool(holds)


if __name__ == "__main__":
    sys.exit(main())
