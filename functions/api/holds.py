"""Holds: money of a wallet that is put aside for others, who get it or do not."""

from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus
from typing import TypeVar

import msgspec
from msgspec import UNSET

from api.accounts import expires_in
from api.app import App
from api.funding import closed, spendable
from florin.domain.currencies import EXPONENTS
from florin.domain.history import Recorded
from florin.domain.hold import CaptureHold, HoldCommand, Part, PlaceHold, Share, VoidHold
from florin.domain.money import Money
from florin.domain.refusals import Refusal
from florin.edge.answers import (
    hold_accepted,
    hold_capture_accepted,
    hold_details,
    hold_void_accepted,
)
from florin.edge.http import Answer, Request
from florin.edge.ids import is_account_id, is_hold_id
from florin.edge.once import once
from florin.edge.requests import (
    HoldCaptureRequest,
    HoldPart,
    HoldRequest,
    HoldVoidRequest,
    idempotency_key,
    read,
)
from florin.handle import Refused
from florin.ports import Profile

Body = TypeVar("Body", HoldCaptureRequest, HoldVoidRequest)


def create(app: App, request: Request) -> Answer | Refused:
    """POST /holds"""
    key = idempotency_key(request)
    if isinstance(key, Refused):
        return key
    asked = read(request, HoldRequest)
    if isinstance(asked, Refused):
        return asked
    if asked.currency not in EXPONENTS:
        return Refused(refusal=Refusal.CURRENCY_UNKNOWN, params=("currency",))
    payer = _named(app, request.tenant_id, asked.account, asked.currency, "account")
    if isinstance(payer, Refused):
        return payer
    recipients = []
    for part in asked.parts:
        recipient = _named(app, request.tenant_id, part.recipient, asked.currency, "parts")
        if isinstance(recipient, Refused):
            return recipient
        recipients.append(recipient)

    def ready(now: datetime) -> Refusal | None:
        if any(closed(recipient) for recipient in recipients):
            return Refusal.RECIPIENT_CLOSED
        return spendable(payer, now)

    command = PlaceHold(
        tenant_id=request.tenant_id,
        account_id=asked.account,
        parts=_parts(asked.parts, asked.currency),
        description=None if asked.description is UNSET else asked.description,
        metadata={} if asked.metadata is UNSET else asked.metadata,
    )
    placed = app.desk.place_hold(
        command,
        once(request, key, asked, app.pepper()),
        expires_in(asked.expires_in_s),
        ready,
    )
    if isinstance(placed, Refused):
        return placed
    return Answer(
        status=HTTPStatus.CREATED,
        body=hold_accepted(asked, placed.receipt),
        replayed=placed.replayed,
    )


def _named(
    app: App, tenant_id: str, account_id: str, currency: str, param: str
) -> Profile | Refused:
    """An account that takes part in a hold, which is in its currency."""
    profile = app.accounts.profile(tenant_id, account_id) if is_account_id(account_id) else None
    if profile is None:
        return Refused(refusal=Refusal.ACCOUNT_NOT_FOUND, params=(param,))
    if profile.currency != currency:
        return Refused(refusal=Refusal.CURRENCY_DIFFERS, params=("currency",))
    return profile


def _parts(parts: list[HoldPart], currency: str) -> tuple[Part, ...]:
    return tuple(
        Part(recipient=part.recipient, amount=Money(part.amount, currency)) for part in parts
    )


def capture(app: App, request: Request) -> Answer | Refused:
    """POST /holds/{hold_id}/capture"""

    def command(
        asked: HoldCaptureRequest, share: Share, capture_id: str, now: datetime
    ) -> CaptureHold:
        return CaptureHold(
            capture_id=capture_id, share=share, now=now, final=asked.final is not False
        )

    return _change(app, request, HoldCaptureRequest, "cap", command, hold_capture_accepted)


def void(app: App, request: Request) -> Answer | Refused:
    """POST /holds/{hold_id}/void"""

    def command(asked: HoldVoidRequest, share: Share, void_id: str, now: datetime) -> VoidHold:
        reason = None if asked.reason is UNSET else asked.reason
        return VoidHold(share=share, now=now, reason=reason)

    return _change(app, request, HoldVoidRequest, "void", command, hold_void_accepted)


def _change(
    app: App,
    request: Request,
    shape: type[Body],
    prefix: str,
    command: Callable[[Body, Share, str, datetime], HoldCommand],
    told: Callable[[Recorded], msgspec.Struct],
) -> Answer | Refused:
    key = idempotency_key(request)
    if isinstance(key, Refused):
        return key
    asked = read(request, shape)
    if isinstance(asked, Refused):
        return asked
    share = _share(asked)
    if isinstance(share, Refused):
        return share
    hold_id = request.path.get("hold_id", "")
    if not is_hold_id(hold_id):
        return Refused(refusal=Refusal.HOLD_NOT_FOUND)
    changed = app.desk.change_hold(
        hold_id,
        prefix,
        lambda made_id, now: command(asked, share, made_id, now),
        once(request, key, asked, app.pepper()),
    )
    if isinstance(changed, Refused):
        return changed
    assert changed.event is not None, "a change is told by its event"
    if not changed.replayed:
        app.bring_up_to_date(hold_id)
    return Answer(status=HTTPStatus.CREATED, body=told(changed.event), replayed=changed.replayed)


def _share(asked: HoldCaptureRequest | HoldVoidRequest) -> Share | Refused:
    """How much of a hold is asked for."""
    if asked.parts is UNSET:
        return Share(total_minor=None if asked.amount is UNSET else asked.amount)
    if asked.amount is not UNSET:
        return Refused(refusal=Refusal.PARAMETER_INVALID, params=("amount", "parts"))
    by_recipient = {part.recipient: part.amount for part in asked.parts}
    if len(by_recipient) != len(asked.parts):
        return Refused(refusal=Refusal.RECIPIENT_TWICE, params=("parts",))
    return Share(by_recipient=by_recipient)


def show(app: App, request: Request) -> Answer | Refused:
    """GET /holds/{hold_id}. Another tenant's hold is not there at all."""
    hold_id = request.path.get("hold_id", "")
    if not is_hold_id(hold_id):
        return Refused(refusal=Refusal.HOLD_NOT_FOUND)
    history = app.store.read(hold_id)
    if not history.belongs_to(request.tenant_id):
        return Refused(refusal=Refusal.HOLD_NOT_FOUND)
    return Answer(body=hold_details(history))
