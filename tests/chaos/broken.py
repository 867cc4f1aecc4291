"""Engines that are broken on purpose. Each compiles, pays, and passes a friendly test.

They are here so that the suite can be seen to find them: a suite that is green over these is worth
nothing over the real one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count
from typing import Final

from api.app import App
from florin.adapters.codec import Codec
from florin.adapters.memory import Memory
from florin.domain.history import History
from florin.domain.payment import (
    Call,
    Owed,
    Payment,
    PaymentCanceled,
    PaymentFailed,
    RecordAnswer,
    StartCall,
    decide,
    evolve,
    open_calls,
)
from florin.domain.provider import (
    Approved,
    Declined,
    Hardness,
    NotAttempted,
    ProviderAnswer,
    Unknown,
)
from florin.domain.refusals import Refusal
from florin.handle import Desk
from florin.ports import (
    AccountKey,
    AlreadyReceived,
    Appended,
    AppendResult,
    Batch,
    EventStore,
    Line,
    Receipt,
    Reserved,
)
from florin.saga import CALL_BUDGET, Loaded, Saga
from tests.chaos.deployment import Engine


class SkipsTheIntent(Saga):
    """Calls the provider first, and records that it was about to with the answer."""

    def _call(self, item: Owed, loaded: Loaded, execution: str) -> Loaded:
        if item.call is not None:
            return super()._call(item, loaded, execution)
        asked = StartCall(
            payment_id=loaded.payment_id,
            operation_id=item.operation_id,
            owner=self.new_owner(),
            deadline=self.clock.now() + CALL_BUDGET,
            key_until=self.clock.now() + timedelta(days=1),
        )
        events = decide(asked, loaded.state)
        if isinstance(events, Refusal):
            return loaded
        state = loaded.state
        for event in events:
            state = evolve(state, event)
        (call,) = (call for call in open_calls(state) if call.owner == asked.owner)
        answer = self._ask(state, call)
        loaded, _ = self._record(loaded, asked, execution)
        command = RecordAnswer(call=call, answer=answer)
        return self._record(loaded, command, execution)[0]


class IgnoresTheOwner(Saga):
    """Whoever finds a call announced makes it, as if its owner were gone."""

    def _call(self, item: Owed, loaded: Loaded, execution: str) -> Loaded:
        if item.call is None:
            return super()._call(item, loaded, execution)
        answer = self._ask(loaded.state, item.call)
        command = RecordAnswer(call=item.call, answer=answer)
        return self._record(loaded, command, execution)[0]


class TakesOver(Saga):
    """Whoever finds a call announced says that it was not made, and makes another one."""

    def _call(self, item: Owed, loaded: Loaded, execution: str) -> Loaded:
        if item.call is not None:
            command = RecordAnswer(call=item.call, answer=NotAttempted(reason="impatience"))
            loaded, _ = self._record(loaded, command, execution)
            item = replace(item, call=None, attempts=item.call.attempt)
        return super()._call(item, loaded, execution)


class DropsTheUndo(Saga):
    """Records that the provider let go of what it holds, and does not ask it to."""

    def _ask(self, state: Payment, call: Call) -> ProviderAnswer:
        if call.operation_id == "void":
            return Approved(provider_reference=call.reference)
        return super()._ask(state, call)


class AsksAgain(Saga):
    """No answer? Then it was not done, and is done again under a new key."""

    def _ask(self, state: Payment, call: Call) -> ProviderAnswer:
        answer = super()._ask(state, call)
        return NotAttempted(reason=answer.reason) if isinstance(answer, Unknown) else answer


class GivesUp(Saga):
    """No answer? Then it is declined, and the payment fails."""

    def _ask(self, state: Payment, call: Call) -> ProviderAnswer:
        answer = super()._ask(state, call)
        if isinstance(answer, Unknown):
            return Declined(code="timeout", hardness=Hardness.HARD)
        return answer


class BelievesNotFound(Saga):
    """The provider does not show it yet? Then it never will."""

    def _look_up(self, state: Payment, call: Call) -> ProviderAnswer:
        answer = super()._look_up(state, call)
        found = isinstance(answer, Unknown) and answer.reason == "not_found_yet"
        return NotAttempted(reason="not_found") if found else answer


class TrustsNotFound(Saga):
    """Not found for so long? Then nothing was ever sent, and is sent under a new key."""

    def _look_up(self, state: Payment, call: Call) -> ProviderAnswer:
        answer = super()._look_up(state, call)
        return replace(answer, certain=True) if isinstance(answer, NotAttempted) else answer


class WaitsForTheDead(Saga):
    """Never looks up what somebody else announced."""

    def _look_up(self, state: Payment, call: Call) -> ProviderAnswer:
        return Unknown(reason="not my call")


class CreditsTwice(Memory):
    """Puts a line on a statement as often as it is told to."""

    def __init__(self, codec: Codec) -> None:
        super().__init__(codec)
        self._copies = count(1)

    def post(
        self, wallet: AccountKey, lines: Sequence[Line], reserved: Sequence[Reserved] = ()
    ) -> None:
        copies = [
            line
            if self.line_number(wallet, line.entry_id) is None
            else replace(line, entry_id=f"{line.entry_id}/{next(self._copies)}")
            for line in lines
        ]
        super().post(wallet, copies, reserved)


class ForgetsToRelease(Memory):
    """A payment that ends without being paid keeps what it put aside of a wallet."""

    def append(self, batch: Batch) -> AppendResult:
        drafts = tuple(
            replace(draft, entry=None)
            if isinstance(draft.event, PaymentFailed | PaymentCanceled)
            else draft
            for draft in batch.drafts
        )
        return super().append(replace(batch, drafts=drafts))


class KeysComeLater(EventStore):
    """A store that writes what a request does, and the request's key, one after the other."""

    def __init__(self, store: EventStore) -> None:
        self._store = store

    def read(self, stream: str) -> History:
        return self._store.read(stream)

    def receipt(self, tenant_id: str, key: str) -> Receipt | None:
        return self._store.receipt(tenant_id, key)

    def bind(self, receipt: Receipt) -> Receipt:
        return self._store.bind(receipt)

    def append(self, batch: Batch) -> AppendResult:
        first = batch.receipt and self.receipt(batch.receipt.tenant_id, batch.receipt.key)
        if first is not None:
            return AlreadyReceived(first)
        answer = self._store.append(replace(batch, receipt=None))
        if batch.receipt is not None and isinstance(answer, Appended):
            self.bind(batch.receipt)
        return answer


class ForgetsTheKey(App):
    """Binds an idempotency key in a write of its own, which comes after its effect."""

    @property
    def desk(self) -> Desk:
        return replace(super().desk, store=KeysComeLater(self.store))


class LosesEvents(Memory):
    """Writes what follows from a read without looking whether others have written since."""

    def append(self, batch: Batch) -> AppendResult:
        head = self.read(batch.stream).head
        return super().append(replace(batch, after=head))


@dataclass(frozen=True, slots=True)
class Broken:
    """An engine, the promises of which it breaks at least one, and a flow in which it shows."""

    engine: Engine
    breaks: str
    flow: str


BROKEN: Final[Mapping[str, Broken]] = {
    "skips the intent": Broken(Engine(saga=SkipsTheIntent), "provider", "happy"),
    "ignores the owner": Broken(Engine(saga=IgnoresTheOwner), "provider", "happy"),
    "takes over from the owner": Broken(Engine(saga=TakesOver), "provider", "happy"),
    "drops the undo": Broken(Engine(saga=DropsTheUndo), "provider", "capture declined"),
    "asks again when nobody answered": Broken(Engine(saga=AsksAgain), "provider", "refund"),
    "gives up when nobody answered": Broken(Engine(saga=GivesUp), "provider", "happy"),
    "believes not found": Broken(Engine(saga=BelievesNotFound), "provider", "happy"),
    "trusts not found": Broken(Engine(saga=TrustsNotFound), "provider", "happy"),
    "waits for the dead": Broken(Engine(saga=WaitsForTheDead), "rest", "happy"),
    "credits twice": Broken(Engine(store=CreditsTwice), "derived", "happy"),
    "forgets to release": Broken(Engine(store=ForgetsToRelease), "end", "wallet cancel"),
    "forgets the key": Broken(Engine(app=ForgetsTheKey), "key", "refund"),
    "loses events": Broken(Engine(store=LosesEvents), "rest", "happy"),
}
