"""One step of a payment's saga: read, fold, do what is owed, append.

The state machine calls the steps in a line and owns no state; what a step has to do follows from
the events alone. So any step may run twice, late, or at the same time in two executions:

    intent appended ──▶ only its owner calls ──▶ answer appended
          │ owner died
          └── after the deadline anybody looks the operation up by our reference
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, cast

from florin.domain.chart import entry_for
from florin.domain.history import Draft, Head, History
from florin.domain.payment import (
    OPERATIONS,
    Call,
    Command,
    Fail,
    Held,
    Outcome,
    Payment,
    PaymentEvent,
    Pending,
    RecordAnswer,
    RecordRisk,
    StartCall,
    Step,
    Undoing,
    decide,
    evolve,
    fold,
    open_call,
    outcome,
    owed,
)
from florin.domain.provider import NotAttempted, ProviderAnswer, Unknown
from florin.domain.refusals import Refusal
from florin.ports import (
    Appended,
    Batch,
    Clock,
    ContentionError,
    EventStore,
    PaymentProvider,
    RiskAssessor,
    StreamMoved,
)

CALL_BUDGET: Final = timedelta(seconds=12)
"""After this time who announced a call is gone: more than its function's timeout."""

APPENDS_MAX: Final = 8
"""How often a decision is taken anew because others wrote to the same stream."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A payment as it was read, and where its stream ended."""

    payment_id: str
    tenant_id: str
    state: Payment
    head: Head


def drafts_of(state: Payment, events: tuple[PaymentEvent, ...]) -> tuple[Draft, ...]:
    """The events with the entries that they cause, each in the state that it follows."""
    drafts = []
    for event in events:
        drafts.append(Draft(event=event, entry=entry_for(state, event)))
        state = evolve(state, event)
    return tuple(drafts)


def fold_history(history: History) -> Payment:
    """The payment that a history tells of."""
    return fold(cast("PaymentEvent", recorded.event) for recorded in history.events)


@dataclass(frozen=True, slots=True, kw_only=True)
class Saga:
    store: EventStore
    clock: Clock
    risk: RiskAssessor
    provider: Callable[[str], PaymentProvider]
    new_owner: Callable[[], str]

    def run(self, step: Step, payment_id: str, execution: str) -> Outcome:
        """Do `step` if the payment owes it, and say how its execution goes on."""
        loaded = self._load(payment_id)
        if owed(loaded.state) is step:
            match step:
                case Step.ASSESS_RISK:
                    loaded = self._assess_risk(loaded, execution)
                case Step.FAILED:
                    loaded, _ = self._record(loaded, Fail(), execution)
                case Step.AUTHORIZE | Step.CAPTURE | Step.VOID:
                    loaded = self._call(step, loaded, execution)
        return outcome(loaded.state)

    def _assess_risk(self, loaded: Loaded, execution: str) -> Loaded:
        assert isinstance(loaded.state, Pending)
        decision = self.risk.assess(loaded.state.terms)
        command = RecordRisk(decision=decision, assessor=self.risk.name)
        return self._record(loaded, command, execution)[0]

    def _call(self, step: Step, loaded: Loaded, execution: str) -> Loaded:
        """Make the call that is owed if this invocation may, or find out what became of it."""
        call = open_call(loaded.state)
        if call is None:
            owner = self.new_owner()
            asked = StartCall(
                operation=OPERATIONS[step],
                payment_id=loaded.payment_id,
                owner=owner,
                deadline=self.clock.now() + CALL_BUDGET,
            )
            loaded, refusal = self._record(loaded, asked, execution)
            call = open_call(loaded.state)
            if refusal is not None or call is None or call.owner != owner:
                return loaded
            answer = self._ask(step, loaded.state, call)
        elif self.clock.now() < call.deadline:
            return loaded
        else:
            answer = self._look_up(loaded.state, call)
        command = RecordAnswer(idempotency_key=call.idempotency_key, answer=answer)
        return self._record(loaded, command, execution)[0]

    def _ask(self, step: Step, state: Payment, call: Call) -> ProviderAnswer:
        match step, state:
            case Step.AUTHORIZE, Pending(terms=terms):
                return self.provider(terms.provider).authorize(call, terms)
            case Step.CAPTURE, Held(terms=terms, authorization=held):
                return self.provider(terms.provider).capture(call, held, held.amount)
            case Step.VOID, Undoing(terms=terms, authorization=held) if held is not None:
                return self.provider(terms.provider).void(call, held)
            case _:
                raise AssertionError(f"{step} is not owed by {state}")

    def _look_up(self, state: Payment, call: Call) -> ProviderAnswer:
        assert isinstance(state, Pending | Held | Undoing)
        provider = self.provider(state.terms.provider)
        answer = provider.look_up(call)
        if answer is not None:
            return answer
        if self.clock.now() < call.deadline + provider.not_found_final_after:
            return Unknown(reason="not_found_yet")
        return NotAttempted(reason="not_found")

    def _load(self, payment_id: str) -> Loaded:
        history = self.store.read(payment_id)
        tenant_id = history.events[0].tenant_id if history.events else ""
        return Loaded(payment_id, tenant_id, fold_history(history), history.head)

    def _record(
        self, loaded: Loaded, command: Command, execution: str
    ) -> tuple[Loaded, Refusal | None]:
        """Decide and append; when others wrote meanwhile, read again and decide anew."""
        for _ in range(APPENDS_MAX):
            events = decide(command, loaded.state)
            if isinstance(events, Refusal):
                return loaded, events
            if not events:
                return loaded, None
            batch = Batch(
                stream=loaded.payment_id,
                tenant_id=loaded.tenant_id,
                after=loaded.head,
                drafts=drafts_of(loaded.state, events),
                at=self.clock.now(),
                execution=execution,
            )
            match self.store.append(batch):
                case Appended(recorded):
                    state = loaded.state
                    for event in events:
                        state = evolve(state, event)
                    head = History(recorded).head
                    return Loaded(loaded.payment_id, loaded.tenant_id, state, head), None
                case StreamMoved():
                    loaded = self._load(loaded.payment_id)
                case unexpected:
                    raise AssertionError(f"a step has no idempotency key: {unexpected}")
        raise ContentionError(f"{loaded.payment_id} changed under us {APPENDS_MAX} times")
