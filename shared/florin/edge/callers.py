"""Callers as the authorizer tells the API function of them: texts, for API Gateway carries no more.

What it says is remembered by the gateway for as long as the stack's `KeyCacheSeconds`, so it says
all that has to be judged anew for each request.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from florin.domain.keys import ApiKey, Caller, Scope

_SCOPES: Final = frozenset(Scope)


def context_of(key: ApiKey) -> dict[str, str]:
    """What the authorizer says about a key."""
    return {
        "tenant_id": key.tenant_id,
        "key_id": key.key_id,
        "mode": key.mode,
        "role": key.role or "",
        "scopes": " ".join(sorted(key.opens)),
        "addresses": " ".join(key.allowed_addresses),
        "expires_at": key.ends_at.isoformat() if key.ends_at else "",
    }


def caller_in(context: Mapping[str, Any]) -> Caller | None:
    """The caller of whom the authorizer spoke, if it was asked.

    Raises:
        ValueError: what it says is not what it says of anybody.
    """
    if not context.get("tenant_id"):
        return None
    expires_at = context.get("expires_at")
    return Caller(
        tenant_id=context["tenant_id"],
        key_id=context.get("key_id") or "",
        mode=context.get("mode") or "",
        # A scope that this version does not know opens nothing here.
        scopes=frozenset(
            Scope(name) for name in (context.get("scopes") or "").split() if name in _SCOPES
        ),
        allowed_addresses=tuple((context.get("addresses") or "").split()),
        ends_at=datetime.fromisoformat(expires_at) if expires_at else None,
    )
