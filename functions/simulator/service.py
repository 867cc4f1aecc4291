"""What the simulated provider does when it is asked: look at the token, then write the books."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from florin.adapters.clock import UlidIds
from florin.ports import Clock
from simulator.books import Books, Charge, Done, Operation, Refusal, State, order_of
from simulator.tokens import (
    AnswerLost,
    Decline,
    Fate,
    Kind,
    RequestLost,
    Slow,
    Token,
    TurnedAway,
    token,
)

Reaction = Done | Refusal | TurnedAway | RequestLost | AnswerLost
"""What a caller gets to see; of the two that are lost, nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What every operation is asked with. The fingerprint is the whole request's."""

    reference: str
    idempotency_key: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Service:
    books: Books
    clock: Clock
    pause: Callable[[float], None] = time.sleep

    def authorize(self, asked: Asked, amount: int, currency: str, payment_method: str) -> Reaction:
        opened = Charge(
            charge_id=UlidIds().new("ch", self.clock.now()),
            reference=asked.reference,
            payment_method=payment_method,
            authorized=amount,
            captured=0,
            refunded=0,
            currency=currency,
            state=State.AUTHORIZED,
        )

        def write(operation: Operation) -> Done | Refusal:
            return self.books.authorize(operation, opened if operation.decline is None else None)

        return self._perform(Kind.AUTHORIZATION, asked, opened, amount, write)

    def capture(self, asked: Asked, charge_id: str, amount: int, *, final: bool = True) -> Reaction:
        charge = self.books.charge(charge_id)
        if charge is None:
            return Refusal.CHARGE_NOT_FOUND

        def write(operation: Operation) -> Done | Refusal:
            return self.books.capture(operation, final=final)

        return self._perform(Kind.CAPTURE, asked, charge, amount, write)

    def refund(self, asked: Asked, charge_id: str, amount: int) -> Reaction:
        charge = self.books.charge(charge_id)
        if charge is None:
            return Refusal.CHARGE_NOT_FOUND
        return self._perform(Kind.REFUND, asked, charge, amount, self.books.refund)

    def void(self, asked: Asked, charge_id: str) -> Reaction:
        charge = self.books.charge(charge_id)
        if charge is None:
            return Refusal.CHARGE_NOT_FOUND
        return self._perform(Kind.VOID, asked, charge, charge.authorized, self.books.void)

    def operations(self, reference: str) -> tuple[Operation, ...]:
        """What was asked under a reference, in however many attempts, and shows by now."""
        now = _stamp(self.clock.now())
        return tuple(
            operation
            for operation in self.books.operations(order_of(reference))
            if operation.reference == reference
            and (operation.hidden_until is None or operation.hidden_until <= now)
        )

    def charges(self, order: str) -> tuple[Charge, ...]:
        """The charges that the approved authorizations of an order opened: all, and at once."""
        opened = [
            self.books.charge(operation.charge)
            for operation in self.books.operations(order)
            if operation.kind is Kind.AUTHORIZATION and operation.charge is not None
        ]
        return tuple(charge for charge in opened if charge is not None)

    def _perform(
        self,
        kind: Kind,
        asked: Asked,
        charge: Charge,
        amount: int,
        write: Callable[[Operation], Done | Refusal],
    ) -> Reaction:
        """Let the operation meet its fate: before it is written, in what is written, or after."""
        card = token(charge.payment_method)
        fate = card.fates.get(kind)
        match fate:
            case (TurnedAway(times=times) | RequestLost(times=times)) as nothing_done:
                if times is None or self.books.turn_away(asked.reference, times):
                    return nothing_done
            case Slow(seconds=seconds):
                self.pause(seconds)
        done = write(self._operation(kind, asked, charge, amount, card, fate))
        if isinstance(fate, AnswerLost) and isinstance(done, Done) and not done.replayed:
            return fate
        return done

    def _operation(
        self,
        kind: Kind,
        asked: Asked,
        charge: Charge,
        amount: int,
        card: Token,
        fate: Fate | None,
    ) -> Operation:
        now = self.clock.now()
        decline = fate if isinstance(fate, Decline) else None
        opened_none = kind is Kind.AUTHORIZATION and decline is not None
        return Operation(
            kind=kind,
            reference=asked.reference,
            idempotency_key=asked.idempotency_key,
            fingerprint=asked.fingerprint,
            amount=amount,
            currency=charge.currency,
            charge=None if opened_none else charge.charge_id,
            brand=card.brand,
            last4=card.last4,
            decline=decline,
            created_at=_stamp(now),
            hidden_until=_stamp(now, fate.shown_after) if isinstance(fate, AnswerLost) else None,
        )


def _stamp(now: datetime, later: timedelta = timedelta(0)) -> str:
    """A moment as text. All are of one shape and zone, so texts compare as moments do."""
    return (now + later).isoformat(timespec="milliseconds")
