"""The API over the ports in memory, driven with events of API Gateway.

Whatever it answers is compared with the API's document on the way out: the status must be
documented for the route, and the body must have the documented shape.
"""

import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from secrets import token_urlsafe
from typing import Any, Final

from api.app import App
from api.routes import handle
from florin.adapters.clock import ManualClock, UlidIds
from florin.adapters.memory import Memory, MemoryConfig, MemoryRunWakeups, MemorySagas
from florin.adapters.memory_dead_letters import MemoryDeadLetters
from florin.adapters.memory_keys import MemoryKeys
from florin.adapters.risk import PassingRisk
from florin.adapters.wallet import WalletProvider
from florin.domain.fees import FeeSchedule
from florin.domain.keys import SCOPES, Role, Scope
from florin.domain.payment import WALLET_PROVIDER, Step
from florin.domain.provider import ProviderAnswer
from florin.edge.document import Page
from florin.edge.pepper import key_hash
from florin.ports import Appended, AppendResult, Batch, Hop, Tenant
from florin.projection import Projector
from florin.saga import Saga
from infra.paths import ROOT
from tests.functions.document import check_answer
from tests.support.examples import NOON, TENANT, ScriptedProvider

EVENTS: Final = ROOT / "tests" / "events"
OTHER_TENANT: Final = "tn_venice"
PEPPER: Final = b"pepper of the tests"

Json = dict[str, Any]


def sample(name: str) -> Json:
    """An event as API Gateway sends it."""
    event: Json = json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))
    return event


POST, GET = sample("post_payment"), sample("get_payment")


def tenant(tenant_id: str = TENANT) -> Tenant:
    return Tenant(
        tenant_id=tenant_id,
        name="Florence Silks",
        mode="test",
        fees=FeeSchedule(basis_points=300),
        provider="scripted",
    )


class Counting(Memory):
    """A store that counts what is asked of it."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[Batch] = []
        self.profiles_read = 0

    def append(self, batch: Batch) -> AppendResult:
        answer = super().append(batch)
        if isinstance(answer, Appended):
            self.written.append(batch)
        return answer

    def profile(self, tenant_id: str, account_id: str, *, fresh: bool = False) -> Any:
        self.profiles_read += 1
        return super().profile(tenant_id, account_id, fresh=fresh)


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def body(self) -> Json:
        parsed: Json = json.loads(self.text)
        return parsed

    @property
    def error(self) -> Json:
        details: Json = self.body["error"]
        return details

    @property
    def refusal(self) -> tuple[int, str, str | None]:
        """Status, code and param."""
        return self.status, self.error["code"], self.error["param"]


@dataclass
class World:
    store: Counting = field(default_factory=Counting)
    sagas: Any = field(default_factory=MemorySagas)
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOON))
    provider: ScriptedProvider = field(default_factory=ScriptedProvider)
    letters: MemoryDeadLetters = field(default_factory=MemoryDeadLetters)
    hops: dict[str, Hop] = field(default_factory=dict)
    wakeups: MemoryRunWakeups = field(default_factory=MemoryRunWakeups)
    api_keys: MemoryKeys = field(default_factory=MemoryKeys)
    scopes: frozenset[Scope] = SCOPES[Role.ADMIN]

    def __post_init__(self) -> None:
        self.app = App(
            store=self.store,
            books=self.store,
            accounts=self.store,
            config=MemoryConfig(
                tenants={TENANT: tenant(), OTHER_TENANT: tenant(OTHER_TENANT)},
            ),
            sagas=self.sagas,
            runs=self.store,
            wakeups=self.wakeups,
            clock=self.clock,
            ids=UlidIds(),
            pepper=lambda: PEPPER,
            document=lambda: '{"openapi": "3.1.1"}',
            page=lambda: Page(
                html="<!DOCTYPE html><title>Florin</title>", policy="default-src 'none'"
            ),
            letters=self.letters,
            hops=lambda: self.hops,
            api_keys=self.api_keys,
            keyed=lambda api_key: key_hash(PEPPER, api_key),
            new_secret=lambda: token_urlsafe(24),
        )

    def use(self, **ports: Any) -> None:
        """Put other ports in the place of some."""
        self.app = replace(self.app, **ports)

    def answering(self, **answers: ProviderAnswer) -> "World":
        self.provider.answers = answers
        return self

    # Requests.

    def send(self, event: Json) -> Reply:
        if event["requestContext"].get("authorizer"):
            event["requestContext"]["authorizer"]["scopes"] = " ".join(self.scopes)
        answer = handle(event, self.app)
        assert set(answer) == {"statusCode", "headers", "body", "isBase64Encoded"}
        assert answer["isBase64Encoded"] is False
        assert answer["headers"]["Content-Type"] == "application/json"
        assert answer["headers"]["X-Request-Id"] == event["requestContext"]["requestId"]
        reply = Reply(answer["statusCode"], answer["headers"], answer["body"])
        check_answer(
            event["httpMethod"], event["resource"], reply.status, reply.headers, reply.text
        )
        return reply

    def post(
        self, path: str, body: object, key: str | None = "key-1", tenant_id: str = TENANT
    ) -> Reply:
        text = body if isinstance(body, str) else json.dumps(body)
        return self.send(posted(path, text, key, tenant_id))

    def get(self, resource: str, named: str, tenant_id: str = TENANT) -> Reply:
        """Get a resource with one path parameter."""
        return self.send(got(resource, named, tenant_id))

    def post_to(self, resource: str, named: str, key: str, tenant_id: str = TENANT) -> Reply:
        """Post nothing to a resource with one path parameter."""
        event = posted(resource, "", key, tenant_id)
        parameter = resource.partition("{")[2].partition("}")[0]
        event |= {
            "path": resource.replace(f"{{{parameter}}}", named),
            "pathParameters": {parameter: named},
        }
        return self.send(event)

    def listed(self, tenant_id: str = TENANT, **query: str) -> Reply:
        """List dead letters."""
        event = got("/dead-letters", "", tenant_id)
        event["queryStringParameters"] = query
        event["multiValueQueryStringParameters"] = {name: [value] for name, value in query.items()}
        return self.send(event)

    # What has happened.

    def account(self, currency: str = "EUR", tenant_id: str = TENANT) -> str:
        """The id of a new account."""
        key = f"account-{len(self.store.streams())}"
        body = {"currency": currency, "kind": "seller"}
        account_id: str = self.post("/accounts", body, key, tenant_id).body["account_id"]
        return account_id

    def payment(self, **fields: object) -> str:
        """The id of a payment that was just accepted."""
        body = payment_body(self.account(), **fields)
        payment_id: str = self.post("/payments", body, f"payment-{len(self.store.streams())}").body[
            "payment_id"
        ]
        return payment_id

    @property
    def saga(self) -> Saga:
        return Saga(
            store=self.store,
            accounts=self.store,
            clock=self.clock,
            risk=PassingRisk(),
            provider=lambda name: WalletProvider() if name == WALLET_PROVIDER else self.provider,
            new_owner=lambda: "owner-secret",
        )

    def change(self, payment_id: str, what: str, body: Json | str = "", key: str = "c-1") -> Reply:
        """Ask something of a payment."""
        text = body if isinstance(body, str) else json.dumps(body)
        event = posted(f"/payments/{{payment_id}}/{what}", text, key)
        event |= {
            "path": f"/payments/{payment_id}/{what}",
            "pathParameters": {"payment_id": payment_id},
        }
        return self.send(event)

    def follow_up(self, payment_id: str, execution: str = "arn:execution:2") -> None:
        """Do what was asked of an authorized payment, and bring the books up to date."""
        self.saga.follow_up(payment_id, execution)
        Projector(store=self.store, books=self.store).project(self.store.streams())

    def run(self, payment_id: str, *steps: Step, execution: str = "arn:execution:1") -> None:
        """Run steps of the payment's saga, and bring the books up to date."""
        for step in steps:
            self.saga.run(step, payment_id, execution)
        Projector(store=self.store, books=self.store).project(self.store.streams())


def payment_body(recipient: str, /, **fields: object) -> Json:
    return {
        "amount": 1_000,
        "currency": "EUR",
        "payment_method": "tok_visa_secret",
        "recipient": recipient,
    } | fields


def posted(path: str, text: str, key: str | None = "key-1", tenant_id: str = TENANT) -> Json:
    event = deepcopy(POST)
    event |= {"resource": path, "path": path, "body": text}
    event["requestContext"]["authorizer"]["tenant_id"] = tenant_id
    for headers in (event["headers"], event["multiValueHeaders"]):
        del headers["Idempotency-Key"]
    if key is not None:
        event["headers"]["Idempotency-Key"] = key
        event["multiValueHeaders"]["Idempotency-Key"] = [key]
    return event


def got(resource: str, named: str, tenant_id: str = TENANT) -> Json:
    event = deepcopy(GET)
    parameter = resource.partition("{")[2].partition("}")[0]
    event |= {"resource": resource, "path": resource.replace(f"{{{parameter}}}", named)}
    event["pathParameters"] = {parameter: named} if parameter else None
    event["requestContext"]["authorizer"]["tenant_id"] = tenant_id
    return event
