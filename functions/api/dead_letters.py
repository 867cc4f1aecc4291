"""Dead letters: what a hop gave up, why, and how it is sent again.

A tenant sees its own. What belongs to nobody, because it could not be read that far, is for the
operators of the stack.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from msgspec import UNSET

from api.app import App
from florin.domain.keys import Scope
from florin.domain.refusals import Refusal
from florin.edge.answers import dead_letter_details, dead_letter_list, redrive_done
from florin.edge.http import Answer, Request
from florin.edge.ids import is_dead_letter_id
from florin.edge.once import once
from florin.edge.requests import (
    RedriveAllRequest,
    RedriveRequest,
    idempotency_key,
    page_limit,
    read,
)
from florin.handle import Once, Refused
from florin.ports import (
    DeadLetter,
    HopUnavailableError,
    LetterFilter,
    LetterState,
    NotRedrivableError,
    RedriveRecord,
)

LIST_QUERY: Final = frozenset({"hop", "state", "payment_id", "cause", "limit", "starting_after"})

Results = tuple[tuple[tuple[str, LetterState], ...], bool]
"""Each letter with the state that it was left in, and whether there are more."""


def collect(app: App, request: Request) -> Answer | Refused:
    """GET /dead-letters"""
    limit = page_limit(request)
    if isinstance(limit, Refused):
        return limit
    given = request.query
    if given.get("state", LetterState.OPEN) not in set(LetterState):
        return Refused(refusal=Refusal.PARAMETER_INVALID, params=("state",))
    after = None
    if "starting_after" in given:
        after = _visible(app, request, given["starting_after"])
        if after is None:
            return Refused(refusal=Refusal.PARAMETER_INVALID, params=("starting_after",))
    wanted = LetterFilter(
        hop=given.get("hop"),
        state=LetterState(given["state"]) if "state" in given else None,
        stream=given.get("payment_id"),
        cause=given.get("cause"),
    )
    # One more than asked for tells whether there are more.
    found = app.letters.letters(_owners(request), wanted, limit=limit + 1, after=after)
    return Answer(body=dead_letter_list(found[:limit], has_more=len(found) > limit))


def show(app: App, request: Request) -> Answer | Refused:
    """GET /dead-letters/{dead_letter_id}"""
    letter = _visible(app, request, request.path.get("dead_letter_id", ""))
    if letter is None:
        return Refused(refusal=Refusal.DEAD_LETTER_NOT_FOUND)
    return Answer(body=dead_letter_details(letter))


def redrive(app: App, request: Request) -> Answer | Refused:
    """POST /dead-letters/{dead_letter_id}/redrive"""
    key = idempotency_key(request)
    if isinstance(key, Refused):
        return key
    asked = read(request, RedriveRequest)
    if isinstance(asked, Refused):
        return asked
    letter = _visible(app, request, request.path.get("dead_letter_id", ""))
    if letter is None:
        return Refused(refusal=Refusal.DEAD_LETTER_NOT_FOUND)

    def work() -> Results:
        return ((letter.letter_id, app.redriver.redrive(letter).state),), False

    return _once(app, once(request, key, asked, app.pepper()), work)


def redrive_all(app: App, request: Request) -> Answer | Refused:
    """POST /dead-letters/redrive"""
    key = idempotency_key(request)
    if isinstance(key, Refused):
        return key
    asked = read(request, RedriveAllRequest)
    if isinstance(asked, Refused):
        return asked
    if asked.hop is UNSET and asked.cause is UNSET and asked.payment_id is UNSET:
        # Everything at once is rarely what somebody means.
        return Refused(refusal=Refusal.PARAMETER_MISSING, params=("hop", "cause", "payment_id"))
    after = None
    if asked.starting_after is not UNSET:
        after = _visible(app, request, asked.starting_after)
        if after is None:
            return Refused(refusal=Refusal.PARAMETER_INVALID, params=("starting_after",))
    wanted = LetterFilter(
        hop=None if asked.hop is UNSET else asked.hop,
        state=LetterState.OPEN,
        stream=None if asked.payment_id is UNSET else asked.payment_id,
        cause=None if asked.cause is UNSET else asked.cause,
    )

    def work() -> Results:
        return app.redriver.redrive_all(_owners(request), wanted, after)

    return _once(app, once(request, key, asked, app.pepper()), work)


def _once(app: App, asked: Once, work: Callable[[], Results]) -> Answer | Refused:
    """Do the work unless it was done under this key, and answer with what was done then.

    The record is kept before the key is bound to it. Who dies in between, or comes twice at once,
    redrives what is redriven, which has no effect.
    """
    used = app.desk.used(asked)
    if used is None:
        try:
            letters, has_more = work()
        except NotRedrivableError:
            return Refused(refusal=Refusal.NOT_REDRIVABLE)
        except HopUnavailableError:
            return Refused(refusal=Refusal.HOP_UNAVAILABLE)
        now = app.clock.now()
        redrive_id = app.ids.new("rdr", now)
        app.letters.keep(
            RedriveRecord(
                redrive_id=redrive_id,
                tenant_id=asked.tenant_id,
                created_at=now,
                letters=letters,
                has_more=has_more,
            )
        )
        used = app.desk.settle(redrive_id, asked)
    if isinstance(used, Refused):
        return used
    record = app.letters.record(used.receipt.object_id)
    assert record is not None, "a key is bound to a record that is there"
    return Answer(status=HTTPStatus.CREATED, body=redrive_done(record), replayed=used.replayed)


def _owners(request: Request) -> tuple[str | None, ...]:
    """Whose letters the caller sees; None stands for nobody's."""
    if request.caller and Scope.STACK_OPERATE in request.caller.scopes:
        return (request.tenant_id, None)
    return (request.tenant_id,)


def _visible(app: App, request: Request, letter_id: str) -> DeadLetter | None:
    letter = app.letters.letter(letter_id) if is_dead_letter_id(letter_id) else None
    if letter is None or letter.tenant_id not in _owners(request):
        return None
    return letter
