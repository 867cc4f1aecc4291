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
IMPOSSIBLE = Declined(code="impossible", hardness=Hardness.HARD)

LONG_AFTER = timedelta(seconds=30)
"""How long after a call's deadline the provider may do or show what it says that it never heard of:
not by its own word, but it may be wrong.
"""


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
    HIDDEN = "hidden"
    """Done, the answer lost, and no look-up shows it until long after its word was final."""
    BELATED = "belated"
    """Lost for all that anybody can know: it arrives long after a look-up's word was final."""
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
class Effect:
    """What a request would do, and why it cannot be done, if it cannot."""

    wrong: Callable[[], str | None]
    do: Callable[[], None]


@dataclass(frozen=True)
class Deed:
    """What a request came to, by the key that it had, and since when it can be found."""

    key: str
    answer: ProviderAnswer
    shows_at: datetime


class Bank(PaymentProvider):
    """It does what it is asked, once under each key, and trips over what nobody may ask: it is
    itself the check that nothing is charged twice and no cap is broken on the provider's side.

    `wronged` are the payments of which it has not told the truth. What nobody may ask it refuses
    there, for who was told otherwise could not know.
    """

    not_found_final_after = timedelta(seconds=5)
    key_retention = timedelta(hours=23)

    def __init__(self, relay: Relay, clock: ManualClock) -> None:
        self._relay = relay
        self._clock = clock
        self._asked: set[tuple[str, int]] = set()
        self._known: dict[str, ProviderAnswer] = {}
        self._under_way: list[tuple[datetime, Call, Effect]] = []
        self.wronged: set[str] = set()
        self.deeds: dict[str, Deed] = {}
        self.charges: dict[str, Charge] = {}

    def authorize(self, call: Call, terms: PaymentInitiated) -> ProviderAnswer:
        def charge() -> None:
            assert _payment(call) not in self.charges, "charged twice"
            self.charges[_payment(call)] = Charge(terms.amount.minor)

        return self._answer(call, Effect(lambda: None, charge))

    def capture(
        self,
        call: Call,
        authorization: PaymentAuthorized,
        amount: Money,
        *,
        final: bool = True,
    ) -> ProviderAnswer:
        charge = self.charges[_payment(call)]

        def wrong() -> str | None:
            if charge.closed:
                return "captured after it was over"
            if charge.captured + amount.minor > charge.authorized:
                return "captured more than authorized"
            return None

        def take() -> None:
            charge.captured += amount.minor
            charge.closed = final

        return self._answer(call, Effect(wrong, take))

    def void(self, call: Call, authorization: PaymentAuthorized) -> ProviderAnswer:
        charge = self.charges[_payment(call)]

        def let_go() -> None:
            charge.closed = True

        wrong = "voided what was captured"
        return self._answer(call, Effect(lambda: wrong if charge.captured else None, let_go))

    def refund(self, call: Call, authorization: PaymentAuthorized, amount: Money) -> ProviderAnswer:
        charge = self.charges[_payment(call)]

        def wrong() -> str | None:
            left = charge.captured - charge.refunded
            return "refunded more than captured" if amount.minor > left else None

        def give_back() -> None:
            charge.refunded += amount.minor

        return self._answer(call, Effect(wrong, give_back))

    def look_up(
        self, call: Call, amount: Money, authorization: PaymentAuthorized | None
    ) -> ProviderAnswer | None:
        self._relay.stop()
        self.receive()
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

    def receive(self) -> None:
        """Do what has been on its way until now, unless it was done under its key in between."""
        now = self._clock.now()
        for arrival in [one for one in self._under_way if one[0] <= now]:
            self._under_way.remove(arrival)
            _, call, effect = arrival
            if call.idempotency_key not in self._known and effect.wrong() is None:
                self._do(call, effect, now)

    def _answer(self, call: Call, effect: Effect) -> ProviderAnswer:
        self._relay.stop()
        assert (call.reference, call.attempt) not in self._asked, "asked twice in one attempt"
        self._asked.add((call.reference, call.attempt))
        self.receive()
        fates = self._relay.moving.fates
        fate = Fate(fates.pop(0)) if fates else Fate.APPROVED
        if fate is Fate.UNREACHED:
            return NotAttempted(reason="unreached")
        if fate is Fate.BELATED:
            self.wronged.add(_payment(call))
            self._under_way.append((call.deadline + LONG_AFTER, call, effect))
        if fate in {Fate.LOST, Fate.BELATED}:
            return Unknown(reason="lost")
        answer = self._done(call, effect, fate)
        if fate is Fate.FATAL:
            raise Gone
        self._relay.stop()
        return Unknown(reason="silent") if fate in SILENCES else answer

    def _done(self, call: Call, effect: Effect, fate: Fate) -> ProviderAnswer:
        """What the request came to, now or when its key came for the first time."""
        known = self._known.get(call.idempotency_key)
        if known is not None:
            return known
        shows_at = self._clock.now()
        if fate in {Fate.DECLINED, Fate.SILENT_NO}:
            self._known[call.idempotency_key] = NO
            self.deeds[call.reference] = Deed(call.idempotency_key, NO, shows_at)
            return NO
        if fate is Fate.LATE:
            shows_at = call.deadline + self.not_found_final_after - timedelta(seconds=1)
        if fate is Fate.HIDDEN:
            self.wronged.add(_payment(call))
            shows_at = call.deadline + LONG_AFTER
        if wrong := effect.wrong():
            assert _payment(call) in self.wronged, wrong
            self.deeds[call.reference] = Deed(call.idempotency_key, IMPOSSIBLE, shows_at)
            return IMPOSSIBLE
        return self._do(call, effect, shows_at)

    def _do(self, call: Call, effect: Effect, shows_at: datetime) -> ProviderAnswer:
        earlier = self.deeds.get(call.reference)
        assert earlier is None or not isinstance(earlier.answer, Approved), "done twice"
        effect.do()
        answer = Approved(provider_reference=f"ch_{len(self.deeds)}")
        self._known[call.idempotency_key] = answer
        self.deeds[call.reference] = Deed(call.idempotency_key, answer, shows_at)
        return answer


SILENCES: Sequence[Fate] = (Fate.SILENT, Fate.SILENT_NO, Fate.LATE, Fate.HIDDEN)


def _payment(call: Call) -> str:
    return call.reference.partition(":")[0]
