"""API keys: made, listed, rolled and revoked by other ones.

A key's secret is in one answer, that of the request which kept the key. It is made anew for each
try and stored only as a keyed hash, so no replay can tell it: it has null there.
"""

from dataclasses import replace
from datetime import timedelta
from http import HTTPStatus
from typing import Final

from msgspec import UNSET

from api.app import App
from api.denials import denied
from florin.domain import keys
from florin.domain.keys import SCOPES, ApiKey, Caller
from florin.domain.refusals import Refusal
from florin.edge.answers import (
    api_key_created,
    api_key_list,
    api_key_revoked,
    api_key_summary,
)
from florin.edge.http import Answer, Request
from florin.edge.ids import is_api_key_id
from florin.edge.once import once
from florin.edge.requests import (
    ApiKeyRequest,
    ApiKeyRevokeRequest,
    ApiKeyRollRequest,
    idempotency_key,
    page_limit,
    read,
)
from florin.handle import Accepted, Once, Refused
from florin.ports import ContentionError

LIST_QUERY: Final = frozenset({"limit", "starting_after"})
CONFLICTS_MAX: Final = 10
"""How often a change is decided anew because others changed the same key."""


def create(app: App, request: Request) -> Answer | Refused:
    """POST /api-keys"""
    key = idempotency_key(request)
    if isinstance(key, Refused):
        return key
    asked = read(request, ApiKeyRequest)
    if isinstance(asked, Refused):
        return asked
    if asked.role is UNSET and asked.scopes is UNSET:
        return Refused(refusal=Refusal.PARAMETER_MISSING, params=("role", "scopes"))
    if asked.role is not UNSET and asked.scopes is not UNSET:
        return Refused(refusal=Refusal.PARAMETER_INVALID, params=("role", "scopes"))
    addresses = _networks(asked)
    if addresses is None:
        return Refused(refusal=Refusal.PARAMETER_INVALID, params=("allowed_addresses",))
    role = None if asked.role is UNSET else asked.role
    scopes = frozenset() if asked.scopes is UNSET else frozenset(asked.scopes)
    caller = _caller(request)
    refusal = keys.may_hand_out(caller.scopes, SCOPES[role] if role else scopes)
    if refusal is not None:
        return _denied(request, refusal, "role" if role else "scopes")
    used = _bound(app, once(request, key, asked, app.pepper()))
    if isinstance(used, Refused):
        return used
    now = used.receipt.recorded_at
    wanted = ApiKey(
        key_id=used.receipt.object_id,
        tenant_id=caller.tenant_id,
        mode=caller.mode,
        name=asked.name,
        secret_hash="",
        created_at=now,
        role=role,
        scopes=scopes,
        allowed_addresses=addresses,
        created_by=caller.key_id,
        expires_at=(
            None if asked.expires_in_s is UNSET else now + timedelta(seconds=asked.expires_in_s)
        ),
    )
    known = app.api_keys.api_key(wanted.key_id)
    if known is None:
        secret, made = _with_secret(app, wanted)
        if app.api_keys.add(made):
            return _told(made, secret)
        known = app.api_keys.api_key(wanted.key_id)
        assert known is not None, "or it could have been kept"
    return _told(known, None)


def roll(app: App, request: Request) -> Answer | Refused:
    """POST /api-keys/{api_key_id}/roll"""
    key = idempotency_key(request)
    if isinstance(key, Refused):
        return key
    asked = read(request, ApiKeyRollRequest)
    if isinstance(asked, Refused):
        return asked
    rolled = _named(app, request)
    if isinstance(rolled, Refused):
        return rolled
    caller = _caller(request)
    refusal = keys.may_hand_out(caller.scopes, rolled.opens)
    if refusal is not None:
        return _denied(request, refusal)
    used = _bound(app, once(request, key, asked, app.pepper()))
    if isinstance(used, Refused):
        return used
    successor = used.receipt.object_id
    for tried in range(CONFLICTS_MAX):
        known = app.api_keys.api_key(successor)
        if known is not None:
            return _told(known, None, app.api_keys.api_key(rolled.key_id))
        overlap = timedelta(seconds=asked.overlap_s)
        after = keys.roll(rolled, caller.scopes, successor, app.clock.now(), overlap)
        if isinstance(after, Refusal):
            return Refused(refusal=after)
        secret, made = _with_secret(app, _successor(rolled, successor, caller, used))
        if app.api_keys.add(made, after):
            return _told(made, secret, after)
        app.pause(tried)
        rolled = app.api_keys.api_key(rolled.key_id) or rolled
    raise ContentionError(f"{rolled.key_id} changed under us {CONFLICTS_MAX} times")


def _successor(rolled: ApiKey, key_id: str, caller: Caller, used: Accepted) -> ApiKey:
    """What takes the place of a key: it may do the same, for as long as that was made for."""
    now = used.receipt.recorded_at
    return replace(
        rolled,
        key_id=key_id,
        created_at=now,
        created_by=caller.key_id,
        expires_at=rolled.expires_at and now + (rolled.expires_at - rolled.created_at),
        rolled_from=rolled.key_id,
        last_used_at=None,
        version=1,
    )


def revoke(app: App, request: Request) -> Answer | Refused:
    """POST /api-keys/{api_key_id}/revoke"""
    key = idempotency_key(request)
    if isinstance(key, Refused):
        return key
    asked = read(request, ApiKeyRevokeRequest)
    if isinstance(asked, Refused):
        return asked
    known = _named(app, request)
    if isinstance(known, Refused):
        return known
    caller = _caller(request)
    for tried in range(CONFLICTS_MAX):
        after = keys.revoke(known, caller.scopes, app.clock.now())
        if isinstance(after, Refusal):
            return _denied(request, after)
        asks = once(request, key, asked, app.pepper())
        used = app.desk.used(asks) or app.desk.settle(known.key_id, asks)
        if isinstance(used, Refused):
            return used
        if after is known or app.api_keys.change(after):
            return Answer(
                status=HTTPStatus.CREATED, body=api_key_revoked(after), replayed=used.replayed
            )
        app.pause(tried)
        known = app.api_keys.api_key(known.key_id) or known
    raise ContentionError(f"{known.key_id} changed under us {CONFLICTS_MAX} times")


def listing(app: App, request: Request) -> Answer | Refused:
    """GET /api-keys"""
    limit = page_limit(request)
    if isinstance(limit, Refused):
        return limit
    after = request.query.get("starting_after")
    if after is not None and not is_api_key_id(after):
        return Refused(refusal=Refusal.PARAMETER_INVALID, params=("starting_after",))
    # One more than asked for tells whether there are more.
    found = app.api_keys.api_keys(request.tenant_id, limit=limit + 1, after=after)
    return Answer(body=api_key_list(found[:limit], app.clock.now(), has_more=len(found) > limit))


def show(app: App, request: Request) -> Answer | Refused:
    """GET /api-keys/{api_key_id}"""
    known = _named(app, request)
    if isinstance(known, Refused):
        return known
    return Answer(body=api_key_summary(known, app.clock.now()))


def _caller(request: Request) -> Caller:
    assert request.caller is not None, "no route of these is public"
    return request.caller


def _denied(request: Request, refusal: Refusal, *params: str) -> Refused:
    denied(request, refusal)
    return Refused(refusal=refusal, params=params)


def _named(app: App, request: Request) -> ApiKey | Refused:
    """The key that the path names. Another tenant's key is not there at all."""
    key_id = request.path.get("api_key_id", "")
    known = app.api_keys.api_key(key_id) if is_api_key_id(key_id) else None
    if known is None or known.tenant_id != request.tenant_id:
        return Refused(refusal=Refusal.API_KEY_NOT_FOUND)
    return known


def _bound(app: App, asked: Once) -> Accepted | Refused:
    """The idempotency key, bound to the id of the key that is made under it.

    It is bound before that key is kept. Who dies in between has shown nobody a secret: the next
    request under the same idempotency key keeps it.
    """
    used = app.desk.used(asked)
    if used is not None:
        return used
    return app.desk.settle(app.ids.new("key", app.clock.now()), asked)


def _with_secret(app: App, key: ApiKey) -> tuple[str, ApiKey]:
    """The key itself, with its id in it, and what is kept of it."""
    ulid = key.key_id.removeprefix("key_")
    secret = f"sk_{key.mode}_{ulid}_{app.new_secret()}"
    return secret, replace(key, secret_hash=app.keyed(secret))


def _told(key: ApiKey, secret: str | None, predecessor: ApiKey | None = None) -> Answer:
    """The answer to who made a key. Only who gets the secret had the effect."""
    return Answer(
        status=HTTPStatus.CREATED,
        body=api_key_created(key, predecessor, secret),
        replayed=secret is None,
    )


def _networks(asked: ApiKeyRequest) -> tuple[str, ...] | None:
    """The networks from which a key may be used, or None if one is none."""
    given = [] if asked.allowed_addresses is UNSET else asked.allowed_addresses
    found = [network for text in given if (network := keys.network(text)) is not None]
    return tuple(dict.fromkeys(found)) if len(found) == len(given) else None
