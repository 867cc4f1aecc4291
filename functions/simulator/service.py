"""What the simulated provider does when it is asked: look at the token, then write the books."""

from dataclasses import dataclass

from florin.adapters.clock import UlidIds
from florin.ports import Clock
from simulator.books import Books, Charge, Done, Kind, Operation, Refusal, State, order_of
from simulator.tokens import Decline, token


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

    def authorize(
        self, asked: Asked, amount: int, currency: str, payment_method: str
    ) -> Done | Refusal:
        now = self.clock.now()
        opened = Charge(
            charge_id=UlidIds().new("ch", now),
            reference=asked.reference,
            payment_method=payment_method,
            authorized=amount,
            captured=0,
            refunded=0,
            currency=currency,
            state=State.AUTHORIZED,
        )
        decline = token(payment_method).authorization
        operation = self._operation(Kind.AUTHORIZATION, asked, opened, amount, decline)
        return self.books.authorize(operation, opened if decline is None else None)

    def capture(
        self, asked: Asked, charge_id: str, amount: int, *, final: bool = True
    ) -> Done | Refusal:
        charge = self.books.charge(charge_id)
        if charge is None:
            return Refusal.CHARGE_NOT_FOUND
        decline = token(charge.payment_method).capture
        operation = self._operation(Kind.CAPTURE, asked, charge, amount, decline)
        return self.books.capture(operation, final=final)

    def refund(self, asked: Asked, charge_id: str, amount: int) -> Done | Refusal:
        charge = self.books.charge(charge_id)
        if charge is None:
            return Refusal.CHARGE_NOT_FOUND
        decline = token(charge.payment_method).refund
        operation = self._operation(Kind.REFUND, asked, charge, amount, decline)
        return self.books.refund(operation)

    def void(self, asked: Asked, charge_id: str) -> Done | Refusal:
        charge = self.books.charge(charge_id)
        if charge is None:
            return Refusal.CHARGE_NOT_FOUND
        operation = self._operation(Kind.VOID, asked, charge, charge.authorized, None)
        return self.books.void(operation)

    def operations(self, reference: str) -> tuple[Operation, ...]:
        """What was asked under a reference, in however many attempts."""
        found = self.books.operations(order_of(reference))
        return tuple(operation for operation in found if operation.reference == reference)

    def charges(self, order: str) -> tuple[Charge, ...]:
        """The charges that the approved authorizations of an order opened."""
        opened = [
            self.books.charge(operation.charge)
            for operation in self.books.operations(order)
            if operation.kind is Kind.AUTHORIZATION and operation.charge is not None
        ]
        return tuple(charge for charge in opened if charge is not None)

    def _operation(
        self, kind: Kind, asked: Asked, charge: Charge, amount: int, decline: Decline | None
    ) -> Operation:
        card = token(charge.payment_method)
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
            created_at=self.clock.now().isoformat(timespec="milliseconds"),
        )
