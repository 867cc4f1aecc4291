"""Payments with character, for every test that needs one."""

from datetime import UTC, datetime, timedelta
from typing import Protocol

from florin.adapters.clock import ManualClock, UlidIds
from florin.domain.account import AccountKind, OpenAccount
from florin.domain.fees import FeeTerms
from florin.domain.money import Money
from florin.domain.payment import (
    Call,
    Initiate,
    PaymentAuthorized,
    PaymentEvent,
    PaymentInitiated,
)
from florin.domain.provider import Approved, Method, Operation, ProviderAnswer
from florin.domain.refusals import Refusal
from florin.handle import Accepted, Desk, Once
from florin.ports import Accounts, EventStore, PaymentProvider

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
TENANT = "tn_florence"
TEN, THREE_PERCENT = Money(1_000, "EUR"), FeeTerms(basis_points=300, fixed_minor=0)
VISA = Method(kind="card", brand="visa", last4="4242")


def initiate(
    amount: Money = TEN,
    recipient: str = "acct_silk",
    fee_terms: FeeTerms = THREE_PERCENT,
    tenant_id: str = TENANT,
) -> Initiate:
    return Initiate(
        tenant_id=tenant_id,
        amount=amount,
        payment_method="tok_visa",
        recipient=recipient,
        provider="scripted",
        fee_terms=fee_terms,
        description="Twelve ells of silk",
        order_id="order-12",
        metadata={"loom": "3"},
    )


def once(key: str, tenant_id: str = TENANT, **fields: str) -> Once:
    return Once(tenant_id=tenant_id, key=key, route="POST /payments", fingerprint=fields)


class ScriptedProvider(PaymentProvider):
    """Answers each operation as told, approves what it was not told about, and counts its calls.

    `shown` is what a look-up finds, by reference.
    """

    not_found_final_after = timedelta(seconds=5)
    key_retention = timedelta(hours=23)

    def __init__(self, **answers: ProviderAnswer) -> None:
        self.answers = answers
        self.calls: list[tuple[Operation, str]] = []
        self.shown: dict[str, ProviderAnswer] = {}

    def _answer(self, call: Call) -> ProviderAnswer:
        self.calls.append((call.operation, call.idempotency_key))
        approved = Approved(provider_reference=f"ch_{len(self.calls)}", method=VISA)
        return self.answers.get(call.operation.value, approved)

    def authorize(self, call: Call, terms: PaymentInitiated) -> ProviderAnswer:
        return self._answer(call)

    def capture(
        self,
        call: Call,
        authorization: PaymentAuthorized,
        amount: Money,
        *,
        final: bool = True,
    ) -> ProviderAnswer:
        return self._answer(call)

    def void(self, call: Call, authorization: PaymentAuthorized) -> ProviderAnswer:
        return self._answer(call)

    def refund(self, call: Call, authorization: PaymentAuthorized, amount: Money) -> ProviderAnswer:
        return self._answer(call)

    def look_up(
        self, call: Call, amount: Money, authorization: PaymentAuthorized | None
    ) -> ProviderAnswer | None:
        return self.shown.get(call.reference)


def facts(decided: tuple[PaymentEvent, ...] | Refusal) -> tuple[PaymentEvent, ...]:
    """What was decided, which was no refusal."""
    assert not isinstance(decided, Refusal), decided
    return decided


class Store(EventStore, Accounts, Protocol):
    """What keeps events and accounts."""


def desk(store: Store) -> Desk:
    return Desk(store=store, accounts=store, clock=ManualClock(NOON), ids=UlidIds())


def accepted_payment(
    store: Store, key: str = "key-1", amount: Money = TEN, recipient: str = "acct_silk"
) -> str:
    """The id of a payment that was just accepted, and of which nothing else happened."""
    answer = desk(store).initiate_payment(initiate(amount, recipient), once(key))
    assert isinstance(answer, Accepted), answer
    return answer.receipt.object_id


def opened_account(store: Store, key: str = "account-1", currency: str = "EUR") -> str:
    """The id of an account that was just opened."""
    command = OpenAccount(tenant_id=TENANT, currency=currency, kind=AccountKind.SELLER)
    answer = desk(store).open_account(command, once(key))
    assert isinstance(answer, Accepted), answer
    return answer.receipt.object_id
