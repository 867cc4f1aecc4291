"""When somebody has to look after a payment or hold that nobody else is looking after.

An execution works through what a payment owes and ends. If it died, or the payment waits for a
provider's word, the deadline that follows from the facts says when to take it up again. The more
often that changed nothing, the longer the next time is away; nothing is ever given up.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from florin.domain.hold import Hold, OpenHold
from florin.domain.payment import Canceled, Captured, Failed, Payment, owed

STALLED_AFTER: Final = timedelta(seconds=60)
"""An execution that lives has made the next fact by then, with all its retries."""

ANSWERS_AFTER: Final = (
    timedelta(seconds=5),
    timedelta(seconds=60),
    timedelta(minutes=5),
    timedelta(minutes=15),
    timedelta(hours=1),
)
"""When an unanswered call is looked up after its deadline; then daily."""

LOOKUPS_AFTER: Final = (
    timedelta(seconds=5),
    timedelta(seconds=30),
    timedelta(minutes=5),
    timedelta(minutes=15),
)
"""When who got no answer has it looked up by a message, to the second."""

RECHECKS_AFTER: Final = (timedelta(hours=1), timedelta(days=1))
"""When a provider is asked once more about what was only taken for not done, of a payment that has
ended or was captured without it."""

DAILY: Final = timedelta(days=1)


def payment_due_at(payment: Payment, last_at: datetime, resumes: int = 0) -> datetime | None:
    """When to take up a payment whose last fact is of `last_at`, and which was taken up so often
    since then; `None` when it waits for nobody but its merchant, or for nothing.
    """
    due = [
        call.deadline + after(resumes, ANSWERS_AFTER)
        if (call := item.call) is not None
        else last_at + stalled_after(resumes)
        for item in owed(payment)
    ]
    if isinstance(payment, Captured | Failed | Canceled) and payment.doubts:
        due += [last_at + later for later in RECHECKS_AFTER[resumes : resumes + 1]]
    return min(due, default=None)


def hold_due_at(hold: Hold) -> datetime | None:
    """When an open hold expires."""
    return hold.terms.expires_at if isinstance(hold, OpenHold) else None


def after(times: int, schedule: Sequence[timedelta]) -> timedelta:
    """How long after the deadline the next try is, when there were so many."""
    if times < len(schedule):
        return schedule[times]
    return schedule[-1] + (times - len(schedule) + 1) * DAILY


def stalled_after(resumes: int) -> timedelta:
    """One minute after the last fact, then twice as long each time, then daily."""
    doubled = 1 << min(resumes, 10)
    more = max(0, resumes - 10) * DAILY
    return doubled * STALLED_AFTER + more
