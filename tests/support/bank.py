"""A payment provider that keeps its own table of what it did, and does whatever fate says."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from florin.adapters.clock import ManualClock
from florin.domain.money import Money
from florin.domain.payment import Call, PaymentAuthorized, PaymentInitiated
from florin.domain.provider import (
    Approved,
    Declined,
    Hardness,
    NotAttempted,
    ProviderAnswer,
    Unknown,
)
from florin.ports import PaymentProvider
from tests.support.relay import Gone, Relay

NO = Declined(code="no", hardness=Hardness.HARD)


class Fate(StrEnum):
    """What becomes of a request to the provider."""

    APPROVED = "approved"
    DECLINED = "declined"
    UNREACHED = "unreached"
    LOST = "lost"
    """On the way there: no answer, and nothing happens."""
    SILENT = "silent"
    """Done, but the answer is lost."""
    SILENT_NO = "silent_no"
    LATE = "late"
    """Done, the answer lost, and it shows only just before a look-up's word is final. A look-up's
    own answer takes as long as that.
    """
    FATAL = "fatal"
    """Done, but who asked is gone."""


@dataclass
class Charge:
    """What was done under one payment."""

    authorized: int
    captured: int = 0
    refunded: int = 0
    closed: bool = False


@dataclass(frozen=True)
class Deed:
    """What a request came to, by the key that it had, and since when it can be found."""

    key: str
    answer: ProviderAnswer
    shows_at: datetime


class Bank(PaymentProvider):
    """It does what it is asked, and trips over what nobody may ask: it is itself the check that
    nothing is charged twice and no cap is broken on the provider's side.
    """

    not_found_final_after = timedelta(seconds=5)

    def __init__(self, relay: Relay, clock: ManualClock) -> None:
        self._relay = relay
        self._clock = clock
        self._asked: set[str] = set()
        self.deeds: dict[str, Deed] = {}
        self.charges: dict[str, Charge] = {}

    def authorize(self, call: Call, terms: PaymentInitiated) -> ProviderAnswer:
        def charge() -> None:
            assert _payment(call) not in self.charges, "charged twice"
            self.charges[_payment(call)] = Charge(terms.amount.minor)

        return self._answer(call, charge)

    def capture(
        self,
        call: Call,
        authorization: PaymentAuthorized,
        amount: Money,
        *,
        final: bool = True,
    ) -> ProviderAnswer:
        def take() -> None:
            charge = self.charges[_payment(call)]
            assert not charge.closed, "captured after it was over"
            charge.captured += amount.minor
            charge.closed = final
            assert charge.captured <= charge.authorized, "captured more than authorized"

        return self._answer(call, take)

    def void(self, call: Call, authorization: PaymentAuthorized) -> ProviderAnswer:
        def let_go() -> None:
            charge = self.charges[_payment(call)]
            assert not charge.captured, "voided what was captured"
            charge.closed = True

        return self._answer(call, let_go)

    def refund(self, call: Call, authorization: PaymentAuthorized, amount: Money) -> ProviderAnswer:
        def give_back() -> None:
            charge = self.charges[_payment(call)]
            charge.refunded += amount.minor
            assert charge.refunded <= charge.captured, "refunded more than captured"

        return self._answer(call, give_back)

    def look_up(
        self, call: Call, amount: Money, authorization: PaymentAuthorized | None
    ) -> ProviderAnswer | None:
        self._relay.stop()
        deed, now = self.deeds.get(call.reference), self._clock.now()
        # The answer is on its way, and may be old when it comes.
        self._relay.stop()
        fates = self._relay.moving.fates
        if fates and fates[0] == Fate.LATE:
            fates.pop(0)
            self._clock.advance(self.not_found_final_after)
        if deed is None or deed.shows_at > now:
            return None
        done = isinstance(deed.answer, Approved)
        return deed.answer if done or deed.key == call.idempotency_key else None

    def said(self, reference: str, answers: type[ProviderAnswer]) -> bool:
        """Whether an operation came to such an answer here."""
        return reference in self.deeds and isinstance(self.deeds[reference].answer, answers)

    def _answer(self, call: Call, effect: Callable[[], None]) -> ProviderAnswer:
        self._relay.stop()
        assert call.idempotency_key not in self._asked, "asked twice under one key"
        self._asked.add(call.idempotency_key)
        fates = self._relay.moving.fates
        fate = Fate(fates.pop(0)) if fates else Fate.APPROVED
        if fate is Fate.UNREACHED:
            return NotAttempted(reason="unreached")
        if fate is Fate.LOST:
            return Unknown(reason="lost")
        answer: ProviderAnswer = NO
        if fate not in {Fate.DECLINED, Fate.SILENT_NO}:
            effect()
            answer = Approved(provider_reference=f"ch_{len(self.deeds)}")
        earlier = self.deeds.get(call.reference)
        assert earlier is None or not isinstance(earlier.answer, Approved), "done twice"
        shows_at = self._clock.now()
        if fate is Fate.LATE:
            shows_at = call.deadline + self.not_found_final_after - timedelta(seconds=1)
        self.deeds[call.reference] = Deed(call.idempotency_key, answer, shows_at)
        if fate is Fate.FATAL:
            raise Gone
        self._relay.stop()
        return Unknown(reason="silent") if fate in SILENCES else answer


SILENCES: Sequence[Fate] = (Fate.SILENT, Fate.SILENT_NO, Fate.LATE)


def _payment(call: Call) -> str:
    return call.reference.partition(":")[0]
