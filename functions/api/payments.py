"""Payments: accepted in one transaction, and told of from their events."""

from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus
from typing import TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from api.app import App
from api.funding import closed, funding
from florin.domain.currencies import EXPONENTS
from florin.domain.funding import Funding
from florin.domain.history import History, Recorded
from florin.domain.money import Money
from florin.domain.payment import (
    WALLET_PROVIDER,
    CaptureMethod,
    Command,
    Initiate,
    RequestCancel,
    RequestCapture,
    RequestRefund,
    Resolve,
    payer_of,
)
from florin.domain.refusals import Refusal
from florin.edge import log
from florin.edge.answers import (
    cancel_accepted,
    capture_accepted,
    fact_list,
    ledger_list,
    payment_accepted,
    payment_details,
    payment_list,
    refund_accepted,
    resolution_accepted,
)
from florin.edge.http import Answer, Request
from florin.edge.ids import is_account_id, is_payment_id
from florin.edge.listing import payment_query
from florin.edge.once import once
from florin.edge.requests import (
    CancelRequest,
    CaptureRequest,
    PaymentRequest,
    RefundRequest,
    RequestBody,
    ResolveRequest,
    idempotency_key,
    read,
)
from florin.handle import Refused
from florin.ports import Profile, SearchTooBroad, Tenant
from florin.saga import fold_history
from florin.sweep import is_authorized

Value = TypeVar("Value", str, int)


def create(app: App, request: Request) -> Answer | Refused:
    """POST /payments"""
    key = idempotency_key(request)
    if isinstance(key, Refused):
        return key
    asked = read(request, PaymentRequest)
    if isinstance(asked, Refused):
        return asked
    parties = _parties(app, request.tenant_id, asked)
    if isinstance(parties, Refused):
        return parties
    recipient, payer = parties
    amount = Money(asked.amount, asked.currency)

    def funded(now: datetime) -> Funding | Refusal:
        if closed(recipient):
            return Refusal.RECIPIENT_CLOSED
        return (
            funding(app, payer, asked.payment_method, asked.recipient, amount, now) if payer else ()
        )

    # After this point only a reused key and the state of wallets and accounts are refused: the
    # transaction accepts everything else.
    tenant = app.tenant(request.tenant_id)
    accepted = app.desk.initiate_payment(
        _command(asked, tenant, payer), once(request, key, asked, app.pepper()), funded
    )
    if isinstance(accepted, Refused):
        return accepted
    payment_id = accepted.receipt.object_id
    if not accepted.replayed:
        _start(payment_id, lambda: app.sagas.start(payment_id, 1))
    return Answer(
        status=HTTPStatus.CREATED,
        body=payment_accepted(asked, accepted.receipt),
        replayed=accepted.replayed,
        payment_id=payment_id,
    )


def _parties(
    app: App, tenant_id: str, asked: PaymentRequest
) -> tuple[Profile, Profile | None] | Refused:
    """Who is paid, and whose wallet pays if one does; or why such a payment cannot be."""
    if asked.currency not in EXPONENTS:
        return Refused(refusal=Refusal.CURRENCY_UNKNOWN, params=("currency",))
    recipient = _account(app, tenant_id, asked.recipient)
    if recipient is None:
        return Refused(refusal=Refusal.ACCOUNT_NOT_FOUND, params=("recipient",))
    payer, payer_id = None, payer_of(asked.payment_method)
    if payer_id is not None:
        payer = _account(app, tenant_id, payer_id)
        if payer is None:
            return Refused(refusal=Refusal.ACCOUNT_NOT_FOUND, params=("payment_method",))
    if any(party.currency != asked.currency for party in (recipient, payer) if party):
        return Refused(refusal=Refusal.CURRENCY_DIFFERS, params=("currency",))
    return recipient, payer


def _account(app: App, tenant_id: str, account_id: str) -> Profile | None:
    return app.accounts.profile(tenant_id, account_id) if is_account_id(account_id) else None


def _command(asked: PaymentRequest, tenant: Tenant, payer: Profile | None) -> Initiate:
    return Initiate(
        tenant_id=tenant.tenant_id,
        amount=Money(asked.amount, asked.currency),
        payment_method=asked.payment_method,
        recipient=asked.recipient,
        provider=tenant.provider if payer is None else WALLET_PROVIDER,
        fee_terms=tenant.fees.terms(asked.currency),
        capture_method=(
            CaptureMethod.AUTOMATIC if asked.capture_method is UNSET else asked.capture_method
        ),
        description=_or_none(asked.description),
        customer=_or_none(asked.customer),
        order_id=_or_none(asked.order_id),
        metadata={} if asked.metadata is UNSET else asked.metadata,
    )


def _or_none(given: Value | UnsetType) -> Value | None:
    return None if given is UNSET else given


def capture(app: App, request: Request) -> Answer | Refused:
    """POST /payments/{payment_id}/capture"""

    def command(asked: CaptureRequest) -> Callable[[str], Command]:
        return lambda capture_id: RequestCapture(
            capture_id=capture_id,
            amount_minor=_or_none(asked.amount),
            final=asked.final is not False,
        )

    return _change(app, request, CaptureRequest, "cap", command, capture_accepted)


def cancel(app: App, request: Request) -> Answer | Refused:
    """POST /payments/{payment_id}/cancel"""

    def command(asked: CancelRequest) -> Callable[[str], Command]:
        return lambda _: RequestCancel(reason=_or_none(asked.reason))

    return _change(app, request, CancelRequest, "can", command, cancel_accepted)


def refund(app: App, request: Request) -> Answer | Refused:
    """POST /payments/{payment_id}/refund"""

    def command(asked: RefundRequest) -> Callable[[str], Command]:
        return lambda refund_id: RequestRefund(
            refund_id=refund_id,
            amount_minor=_or_none(asked.amount),
            reason=_or_none(asked.reason),
        )

    return _change(app, request, RefundRequest, "ref", command, refund_accepted)


def resolve(app: App, request: Request) -> Answer | Refused:
    """POST /payments/{payment_id}/resolve"""

    def command(asked: ResolveRequest) -> Callable[[str], Command]:
        return lambda _: Resolve(
            operation_id=asked.operation_id,
            verdict=asked.verdict,
            evidence=asked.evidence,
            reason=asked.reason,
            now=app.clock.now(),
            provider_reference=_or_none(asked.provider_reference),
        )

    def start(payment_id: str, version: int) -> None:
        payment = fold_history(app.store.read(payment_id))
        app.sagas.resume(payment_id, version, "op", authorized=is_authorized(payment))

    return _change(app, request, ResolveRequest, "res", command, resolution_accepted, start)


Body = TypeVar("Body", bound=RequestBody)


def _change(
    app: App,
    request: Request,
    shape: type[Body],
    prefix: str,
    command: Callable[[Body], Callable[[str], Command]],
    told: Callable[[Recorded], msgspec.Struct],
    start: Callable[[str, int], None] | None = None,
) -> Answer | Refused:
    """Accept what is asked of a payment, once, and start what does it: the machine for what
    follows an authorization, unless told.
    """
    key = idempotency_key(request)
    if isinstance(key, Refused):
        return key
    asked = read(request, shape)
    if isinstance(asked, Refused):
        return asked
    payment_id = request.path.get("payment_id", "")
    if not is_payment_id(payment_id):
        return Refused(refusal=Refusal.PAYMENT_NOT_FOUND)
    accepted = app.desk.change_payment(
        payment_id, prefix, command(asked), once(request, key, asked, app.pepper())
    )
    if isinstance(accepted, Refused):
        return accepted
    assert accepted.event is not None, "a change is told by its event"
    if not accepted.replayed:
        version = accepted.event.version
        _start(payment_id, lambda: (start or app.sagas.follow_up)(payment_id, version))
    return Answer(
        status=HTTPStatus.CREATED,
        body=told(accepted.event),
        replayed=accepted.replayed,
        payment_id=payment_id,
    )


def _start(payment_id: str, start: Callable[[], None]) -> None:
    """Start the saga. What was accepted is so whether this succeeds or not: it can be resumed."""
    try:
        start()
    except Exception as error:  # noqa: BLE001  # nothing that happens here undoes the acceptance
        log.failure("saga not started", error, payment_id=payment_id)


def show(app: App, request: Request) -> Answer | Refused:
    """GET /payments/{payment_id}"""
    return _told(app, request, payment_details, booked=True)


def listing(app: App, request: Request) -> Answer | Refused:
    """GET /payments"""
    query = payment_query(request)
    if isinstance(query, Refused):
        return query
    found = app.books.payments(query)
    if isinstance(found, SearchTooBroad):
        return Refused(refusal=Refusal.SEARCH_TOO_BROAD)
    return Answer(body=payment_list(found))


def events(app: App, request: Request) -> Answer | Refused:
    """GET /payments/{payment_id}/events"""
    return _told(app, request, fact_list)


def ledger(app: App, request: Request) -> Answer | Refused:
    """GET /payments/{payment_id}/ledger"""
    return _told(app, request, ledger_list)


def _told(
    app: App,
    request: Request,
    tell: Callable[[History], msgspec.Struct],
    *,
    booked: bool = False,
) -> Answer | Refused:
    """What `tell` makes of a payment's events. Another tenant's payment is not there at all.

    Who has seen a payment that is `booked` finds its money in the wallets.
    """
    payment_id = request.path.get("payment_id", "")
    if not is_payment_id(payment_id):
        return Refused(refusal=Refusal.PAYMENT_NOT_FOUND)
    history = app.store.read(payment_id)
    if not history.belongs_to(request.tenant_id):
        return Refused(refusal=Refusal.PAYMENT_NOT_FOUND)
    if booked and any(recorded.entry for recorded in history.events):
        view = app.books.view(payment_id)
        if view is None or view.version < history.head.version:
            app.bring_up_to_date(payment_id)
    return Answer(body=tell(history), payment_id=payment_id)
