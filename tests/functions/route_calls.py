"""How each route is asked for something that is there: the rows of the matrix of routes.

Whoever adds a route adds its calls here; tests/functions/test_route_matrix.py fails until it is so,
and makes every other row from them.
"""

import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Final

from florin.adapters.clock import UlidIds
from florin.dead_letters import letter_id
from florin.domain.payment import Step
from florin.domain.provider import Unknown
from florin.ports import Arrival, DeadLetter
from tests.functions.world import Json, World, got, payment_body, posted
from tests.support.examples import NOON, TENANT

Make = Callable[[World, str], str]
"""Makes something for a tenant, and tells its id."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What an id names: how one is made, and an id of the kind that nothing has."""

    make: Make
    unknown: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call that succeeds.

    `names` tells where in it ids stand, `path.…`, `query.…` or `body.…`, and of what. A text with
    `{}` around the id is in `written`.
    """

    names: Mapping[str, Kind] = field(default_factory=dict)
    written: Mapping[str, str] = field(default_factory=dict)
    body: Json | None = None
    query: Mapping[str, str] = field(default_factory=dict)

    def ids(self, world: World, tenant_id: str = TENANT) -> dict[str, str]:
        """Something of a tenant's for each place."""
        return {place: kind.make(world, tenant_id) for place, kind in self.names.items()}

    def event(self, route: str, ids: Mapping[str, str], key: str | None = "matrix") -> Json:
        """The call as API Gateway hands it over."""
        method, resource = route.split()
        event = posted(resource, "", key) if method == "POST" else got(resource, "")
        body, query, path = deepcopy(self.body), dict(self.query), {}
        for place, found in ids.items():
            where, *steps = place.split(".")
            text = self.written.get(place, "{}").format(found)
            match where:
                case "path":
                    path[steps[0]] = text
                case "query":
                    query[steps[0]] = text
                case _:
                    _put(body, steps, text)
        event["path"] = resource.format_map(path)
        event["pathParameters"] = path or None
        if query:
            event["queryStringParameters"] = query
            event["multiValueQueryStringParameters"] = {
                name: [value] for name, value in query.items()
            }
        if body is not None:
            event["body"] = json.dumps(body)
        return event


def _put(body: Any, steps: list[str], value: str) -> None:
    """Put a value into a body, where lists are counted."""
    *way, last = steps
    for step in way:
        body = body[int(step) if isinstance(body, list) else step]
    body[last] = value


# What calls are about.


def _account(world: World, tenant_id: str) -> str:
    return world.account(tenant_id=tenant_id)


def _posted(world: World, tenant_id: str, path: str, body: Json) -> Json:
    reply = world.post(path, body, f"made-{len(world.store.streams())}", tenant_id)
    assert reply.status == 201, reply
    return reply.body


def _payment(world: World, tenant_id: str, **fields: object) -> str:
    body = payment_body(_account(world, tenant_id), **fields)
    payment_id: str = _posted(world, tenant_id, "/payments", body)["payment_id"]
    return payment_id


def _authorized(world: World, tenant_id: str) -> str:
    payment_id = _payment(world, tenant_id, capture_method="manual")
    world.run(payment_id, Step.ASSESS_RISK, Step.AUTHORIZE)
    return payment_id


def _captured(world: World, tenant_id: str) -> str:
    payment_id = _payment(world, tenant_id)
    world.run(payment_id, Step.ASSESS_RISK, Step.AUTHORIZE, Step.CAPTURE)
    return payment_id


def _silent(world: World, tenant_id: str) -> str:
    payment_id = _payment(world, tenant_id)
    world.answering(authorization=Unknown(reason="timeout"))
    world.run(payment_id, Step.ASSESS_RISK, Step.AUTHORIZE)
    world.answering()
    return payment_id


def _line(world: World, tenant_id: str) -> str:
    return f"{_captured(world, tenant_id)}:6"


def _rich(world: World, tenant_id: str) -> str:
    """An account with 4850 in its wallet."""
    account_id = _account(world, tenant_id)
    body = payment_body(account_id, amount=5_000)
    payment_id = _posted(world, tenant_id, "/payments", body)["payment_id"]
    world.run(payment_id, Step.ASSESS_RISK, Step.AUTHORIZE, Step.CAPTURE)
    return account_id


def _hold(world: World, tenant_id: str) -> str:
    parts = [{"recipient": _account(world, tenant_id), "amount": 600}]
    body = {"account": _rich(world, tenant_id), "currency": "EUR", "parts": parts}
    hold_id: str = _posted(world, tenant_id, "/holds", body)["hold_id"]
    return hold_id


@dataclass(frozen=True, slots=True)
class Taking:
    """A hop that takes whatever it is given."""

    taken: list[str] = field(default_factory=list)

    def take(self, letter: DeadLetter) -> None:
        self.taken.append(letter.letter_id)


def _letter(world: World, tenant_id: str, stream: str | None = None) -> str:
    world.hops.setdefault("projector", Taking())
    found = letter_id("projector", f"{tenant_id}:{stream}")
    world.letters.arrive(
        Arrival(
            letter_id=found,
            message_id=f"message of {found}",
            hop="projector",
            cause="CorruptEventError('moths')",
            payload="{}",
            tenant_id=tenant_id,
            stream=stream,
            version=3 if stream else None,
        ),
        NOON,
    )
    return found


def _given_up(world: World, tenant_id: str) -> str:
    payment_id = _payment(world, tenant_id)
    _letter(world, tenant_id, payment_id)
    return payment_id


def _api_key(world: World, tenant_id: str) -> str:
    body = {"name": "export", "role": "read_only"}
    api_key_id: str = _posted(world, tenant_id, "/api-keys", body)["api_key_id"]
    return api_key_id


def _unknown(prefix: str) -> str:
    return UlidIds().new(prefix, NOON)


UNKNOWN_PAYMENT: Final = _unknown("pay")
ACCOUNT: Final = Kind(_account, _unknown("acct"))
RICH: Final = Kind(_rich, _unknown("acct"))
PAYMENT: Final = Kind(_payment, UNKNOWN_PAYMENT)
AUTHORIZED: Final = Kind(_authorized, UNKNOWN_PAYMENT)
CAPTURED: Final = Kind(_captured, UNKNOWN_PAYMENT)
SILENT: Final = Kind(_silent, UNKNOWN_PAYMENT)
LINE: Final = Kind(_line, f"{UNKNOWN_PAYMENT}:6")
HOLD: Final = Kind(_hold, _unknown("hold"))
GIVEN_UP: Final = Kind(_given_up, UNKNOWN_PAYMENT)
API_KEY: Final = Kind(_api_key, _unknown("key"))
LETTER: Final = Kind(_letter, letter_id("projector", "nothing"))

PAY: Final[Json] = payment_body("acct_…", amount=100)
RESOLVE: Final[Json] = {
    "operation_id": "authorization",
    "verdict": "succeeded",
    "evidence": "Settlement report, line 17",
    "reason": "The provider lost the answer",
    "provider_reference": "ch_42",
}
PLACE: Final[Json] = {
    "account": "acct_…",
    "currency": "EUR",
    "parts": [{"recipient": "acct_…", "amount": 100}],
}
OPEN: Final[Json] = {"currency": "EUR", "kind": "seller"}

CALLS: Final[Mapping[str, tuple[Call, ...]]] = {
    "POST /payments": (
        Call(names={"body.recipient": ACCOUNT}, body=PAY),
        Call(
            names={"body.recipient": ACCOUNT, "body.payment_method": RICH},
            written={"body.payment_method": "wallet:{}"},
            body=PAY,
        ),
        Call(
            names={"body.recipient": ACCOUNT, "body.payment_method": RICH},
            written={"body.payment_method": "wallet:{}:*"},
            body=PAY,
        ),
    ),
    "GET /payments": (Call(names={"query.account": RICH}),),
    "GET /payments/{payment_id}": (Call(names={"path.payment_id": CAPTURED}),),
    "GET /payments/{payment_id}/events": (Call(names={"path.payment_id": CAPTURED}),),
    "GET /payments/{payment_id}/ledger": (Call(names={"path.payment_id": CAPTURED}),),
    "POST /payments/{payment_id}/capture": (
        Call(names={"path.payment_id": AUTHORIZED}, body={"amount": 600}),
    ),
    "POST /payments/{payment_id}/cancel": (
        Call(names={"path.payment_id": AUTHORIZED}, body={"reason": "Moths"}),
    ),
    "POST /payments/{payment_id}/refund": (
        Call(names={"path.payment_id": CAPTURED}, body={"amount": 100}),
    ),
    "POST /payments/{payment_id}/resolve": (Call(names={"path.payment_id": SILENT}, body=RESOLVE),),
    "POST /accounts": (Call(body=OPEN), Call(names={"body.parent": ACCOUNT}, body=OPEN)),
    "GET /accounts/{account_id}": (Call(names={"path.account_id": ACCOUNT}),),
    "POST /accounts/{account_id}": (
        Call(names={"path.account_id": ACCOUNT}, body={"min_balance": -5_000}),
    ),
    "POST /accounts/{account_id}/close": (Call(names={"path.account_id": ACCOUNT}, body={}),),
    "POST /holds": (
        Call(names={"body.account": RICH, "body.parts.0.recipient": ACCOUNT}, body=PLACE),
    ),
    "GET /holds/{hold_id}": (Call(names={"path.hold_id": HOLD}),),
    "POST /holds/{hold_id}/capture": (Call(names={"path.hold_id": HOLD}, body={"amount": 100}),),
    "POST /holds/{hold_id}/void": (Call(names={"path.hold_id": HOLD}, body={"amount": 100}),),
    "GET /wallets/{account_id}": (Call(names={"path.account_id": RICH}),),
    "GET /ledger": (
        Call(names={"query.account_id": RICH}),
        Call(names={"query.payment_id": CAPTURED}),
    ),
    "GET /ledger/verification": (Call(),),
    "POST /ledger/verification": (Call(),),
    "GET /dead-letters": (
        Call(),
        Call(names={"query.payment_id": GIVEN_UP}),
        Call(names={"query.starting_after": LETTER}),
    ),
    "GET /dead-letters/{dead_letter_id}": (Call(names={"path.dead_letter_id": LETTER}),),
    "POST /dead-letters/{dead_letter_id}/redrive": (
        Call(names={"path.dead_letter_id": LETTER}, body={}),
    ),
    "POST /dead-letters/redrive": (
        Call(names={"body.payment_id": GIVEN_UP}, body={}),
        Call(names={"body.starting_after": LETTER}, body={"hop": "projector"}),
    ),
    "POST /api-keys": (Call(body={"name": "export", "role": "read_only"}),),
    "GET /api-keys": (Call(),),
    "GET /api-keys/{api_key_id}": (Call(names={"path.api_key_id": API_KEY}),),
    "POST /api-keys/{api_key_id}/roll": (
        Call(names={"path.api_key_id": API_KEY}, body={"overlap_s": 60}),
    ),
    "POST /api-keys/{api_key_id}/revoke": (Call(names={"path.api_key_id": API_KEY}, body={}),),
    "GET /openapi.json": (Call(),),
    "GET /docs": (Call(),),
}

PARTS: Final[Json] = {"parts": [{"recipient": "acct_…", "amount": 100}]}

LOOSE: Final[Mapping[str, tuple[Call, ...]]] = {
    "GET /payments": (Call(names={"query.starting_after": PAYMENT}),),
    "GET /api-keys": (Call(names={"query.starting_after": API_KEY}),),
    "POST /holds/{hold_id}/capture": (
        Call(names={"path.hold_id": HOLD, "body.parts.0.recipient": ACCOUNT}, body=PARTS),
    ),
    "POST /holds/{hold_id}/void": (
        Call(names={"path.hold_id": HOLD, "body.parts.0.recipient": ACCOUNT}, body=PARTS),
    ),
    "GET /ledger": (
        Call(names={"query.account_id": RICH, "query.starting_after": LINE}),
        Call(names={"query.payment_id": CAPTURED, "query.starting_after": LINE}),
    ),
}
"""More places of ids, in calls that do not depend on what is there, or that do not succeed because
what they name does not belong together.
"""
