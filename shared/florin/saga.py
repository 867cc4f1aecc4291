"""The steps of a payment's saga: read, fold, do what is owed, append.

The state machines call the steps and own no state; what a step has to do follows from the events
alone. So any step may run twice, late, or at the same time in two executions:

    intent appended ──▶ only its owner calls ──▶ answer appended
          │ owner died
          └── after the deadline anybody looks the operation up by our reference
"""

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, cast

from florin.domain.chart import entry_for
from florin.domain.history import Draft, Head, History
from florin.domain.money import Money
from florin.domain.payment import (
    Call,
    Canceled,
    Captured,
    Command,
    Failed,
    Finish,
    Held,
    Outcome,
    Owed,
    Payment,
    PaymentAuthorized,
    PaymentEvent,
    Pending,
    ProviderCallUnanswered,
    RecordAnswer,
    RecordLateSuccess,
    RecordRisk,
    StartCall,
    Step,
    Undoing,
    Unseen,
    authorization_of,
    decide,
    evolve,
    fold,
    open_calls,
    outcome,
    owed,
)
from florin.domain.provider import (
    Approved,
    NotAttempted,
    Operation,
    ProviderAnswer,
    Unknown,
)
from florin.domain.refusals import Refusal
from florin.folding import bookable
from florin.ports import (
    Accounts,
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

ANSWER_TIME: Final = timedelta(seconds=6)
"""What a provider may take to answer. Who is so late that it may not come in time does not ask."""

PAYMENT_STEPS: Final = frozenset(Step) - {Step.REFUND}
"""What the state machine `payment` does, a step at a time."""

FORWARD_STEPS: Final = frozenset({Step.ASSESS_RISK, Step.AUTHORIZE, Step.CAPTURE})
"""Those of them that come before the machine asks whether there is something to undo."""

FOLLOW_UP_STEPS: Final = frozenset({Step.CAPTURE, Step.REFUND, Step.VOID, Step.FINISH})
"""What can be owed once a payment is authorized: the machine `follow_up` does it all in one."""

CALLS_MAX: Final = 4
"""How many providers' answers one step waits for before it lets its execution go on."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A payment as it was read, and where its stream ended."""

    payment_id: str
    tenant_id: str
    state: Payment
    head: Head


def drafts_of(state: Payment, events: tuple[PaymentEvent, ...]) -> tuple[Draft, ...]:
    """The events with the entries that they cause, each in the state that it follows."""
    return drafted(state, events)[0]


def drafted(state: Payment, events: tuple[PaymentEvent, ...]) -> tuple[tuple[Draft, ...], Payment]:
    """The same, and the state after them."""
    drafts = []
    for event in events:
        drafts.append(Draft(event=event, entry=entry_for(state, event)))
        state = evolve(state, event)
    return tuple(drafts), state


def fold_history(history: History) -> Payment:
    """The payment that a history tells of."""
    return fold(cast("PaymentEvent", recorded.event) for recorded in history.events)


def load(store: EventStore, payment_id: str) -> Loaded:
    history = store.read(payment_id)
    tenant_id = history.events[0].tenant_id if history.events else ""
    return Loaded(payment_id, tenant_id, fold_history(history), history.head)


@dataclass(frozen=True, slots=True, kw_only=True)
class Saga:
    """The work on payments.

    `unanswered` hears of a call that a provider did not answer; `inconclusive` of every look-up
    that leaves it so, because some of the reasons, such as another amount under our reference, are
    for people to look into, and the stream records a silence once.
    """

    store: EventStore
    accounts: Accounts
    clock: Clock
    risk: RiskAssessor
    provider: Callable[[str], PaymentProvider]
    new_owner: Callable[[], str]
    unanswered: Callable[[str, Call], None] = lambda payment_id, call: None
    inconclusive: Callable[[Call, Unknown], None] = lambda call, answer: None

    def run(self, step: Step, payment_id: str, execution: str) -> Outcome:
        """Do `step` if the payment owes it, and say how its execution goes on."""
        payment = self._run({step}, payment_id, execution)
        found = outcome(payment, PAYMENT_STEPS)
        if step in FORWARD_STEPS and isinstance(payment, Undoing) and found is Outcome.WAIT:
            # Who was voiding may be gone. Void, which comes next, finds out, or says to wait.
            return Outcome.COMPENSATE
        return found

    def follow_up(self, payment_id: str, execution: str) -> Outcome:
        """Do whatever the payment owes after its authorization, or after its end."""
        return outcome(self._run(FOLLOW_UP_STEPS, payment_id, execution), FOLLOW_UP_STEPS)

    def _run(self, steps: AbstractSet[Step], payment_id: str, execution: str) -> Payment:
        """Try each thing once that is owed and among `steps`; the state it leads to."""
        loaded = self._recheck(load(self.store, payment_id), steps, execution)
        tried: set[tuple[Step, str]] = set()
        while len(tried) < CALLS_MAX:
            todo = [
                item
                for item in owed(loaded.state)
                if item.step in steps and (item.step, item.operation_id) not in tried
            ]
            if not todo:
                break
            tried.add((todo[0].step, todo[0].operation_id))
            loaded = self._do(todo[0], loaded, execution)
        return loaded.state

    def _do(self, item: Owed, loaded: Loaded, execution: str) -> Loaded:
        match item.step:
            case Step.ASSESS_RISK:
                return self._assess_risk(loaded, execution)
            case Step.FINISH:
                return self._record(loaded, Finish(), execution)[0]
            case _:
                return self._call(item, loaded, execution)

    def _assess_risk(self, loaded: Loaded, execution: str) -> Loaded:
        assert isinstance(loaded.state, Pending)
        decision = self.risk.assess(loaded.state.terms)
        command = RecordRisk(decision=decision, assessor=self.risk.name)
        return self._record(loaded, command, execution)[0]

    def _call(self, item: Owed, loaded: Loaded, execution: str) -> Loaded:
        """Make the call that is owed if this invocation may, or find out what became of it."""
        call = item.call
        if call is None:
            owner = self.new_owner()
            now = self.clock.now()
            asked = StartCall(
                payment_id=loaded.payment_id,
                operation_id=item.operation_id,
                owner=owner,
                deadline=now + CALL_BUDGET,
                key_until=now + self._provider_of(loaded.state).key_retention,
            )
            loaded, refusal = self._record(loaded, asked, execution)
            if refusal is not None:  # somebody else announced it first
                return loaded
            call = _call_of(loaded.state, item.operation_id)
            if call is None:  # it may not be sent again
                return loaded
            assert call.owner == owner, "what was appended is open, and ours"
            if self.clock.now() + ANSWER_TIME <= call.deadline:
                answer = self._ask(loaded.state, call)
            else:
                answer = NotAttempted(reason="too_late")
        elif self.clock.now() < call.deadline:
            return loaded
        else:
            answer = self._look_up(loaded.state, call)
        command = RecordAnswer(call=call, answer=answer)
        return self._record(loaded, command, execution)[0]

    def _ask(self, state: Payment, call: Call) -> ProviderAnswer:
        match state:
            case Pending(terms=terms):
                return self.provider(terms.provider).authorize(call, terms)
            case Undoing(terms=terms, authorization=held) if held is not None:
                return self.provider(terms.provider).void(call, held)
            case (
                Failed(returns=returns) | Canceled(returns=returns) | Captured(returns=returns)
            ) if call.operation_id in returns:
                return self._give_back(state, call)
            case Held(terms=terms, authorization=held, capture=capture) if capture is not None:
                return self.provider(terms.provider).capture(
                    call, held, capture.amount, final=capture.final
                )
            case Captured(terms=terms, authorization=held, refunds=refunds) if (
                call.operation_id in refunds
            ):
                amount = refunds[call.operation_id].amount
                return self.provider(terms.provider).refund(call, held, amount)
            case Captured(terms=terms, authorization=held, capture=capture) if capture is not None:
                return self.provider(terms.provider).capture(
                    call, held, capture.amount, final=capture.final
                )
            case _:
                raise AssertionError(f"{call} is not owed by {state}")

    def _give_back(self, state: Failed | Canceled | Captured, call: Call) -> ProviderAnswer:
        """Return what was found after the payment had been decided without it."""
        provider = self.provider(state.terms.provider)
        amount, held = _asked_with(state, call)
        assert held is not None, "what is given back was held"
        if call.operation is Operation.VOID:
            return provider.void(call, held)
        return provider.refund(call, held, amount)

    def _recheck(self, loaded: Loaded, steps: AbstractSet[Step], execution: str) -> Loaded:
        """Ask once more about calls that were taken for not done, of a payment that was decided
        without them.
        """
        state = loaded.state
        if Step.REFUND not in steps or not isinstance(state, Failed | Canceled | Captured):
            return loaded
        # All attempts at an operation have one reference: one look-up tells of them all.
        for doubt in {doubt.call.operation_id: doubt for doubt in state.doubts}.values():
            opens = doubt.call.operation is Operation.AUTHORIZATION
            held = None if opens else authorization_of(state)
            answer = self.provider(state.terms.provider).look_up(doubt.call, doubt.amount, held)
            if isinstance(answer, Unknown):
                self.inconclusive(doubt.call, answer)
            if isinstance(answer, Approved):
                command = RecordLateSuccess(
                    doubt=doubt, provider_reference=answer.provider_reference
                )
                loaded = self._record(loaded, command, execution)[0]
        return loaded

    def _provider_of(self, state: Payment) -> PaymentProvider:
        assert not isinstance(state, Unseen), "what nobody asked for has no provider"
        return self.provider(state.terms.provider)

    def _look_up(self, state: Payment, call: Call) -> ProviderAnswer:
        provider = self._provider_of(state)
        asked_at = self.clock.now()  # not later: it may show up while the answer is on its way
        answer = provider.look_up(call, *_asked_with(state, call))
        if isinstance(answer, Unknown):
            self.inconclusive(call, answer)
        if answer is not None:
            return answer
        if asked_at < call.deadline + provider.not_found_final_after:
            return Unknown(reason="not_found_yet")
        return NotAttempted(reason="not_found", certain=False)

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
            now, tenant_id = self.clock.now(), loaded.tenant_id
            drafts, state = drafted(loaded.state, events)
            batch = Batch(
                stream=loaded.payment_id,
                tenant_id=tenant_id,
                after=loaded.head,
                drafts=bookable(drafts, self.accounts, tenant_id, now),
                at=now,
                execution=execution,
            )
            match self.store.append(batch):
                case Appended(recorded):
                    head = History(recorded).head
                    if any(isinstance(event, ProviderCallUnanswered) for event in events):
                        for call in open_calls(state):
                            if call.unanswered and call not in open_calls(loaded.state):
                                self.unanswered(loaded.payment_id, call)
                    return Loaded(loaded.payment_id, loaded.tenant_id, state, head), None
                case StreamMoved():
                    loaded = load(self.store, loaded.payment_id)
                case unexpected:
                    raise AssertionError(f"a step has no key and takes no money: {unexpected}")
        raise ContentionError(f"{loaded.payment_id} changed under us {APPENDS_MAX} times")


def _asked_with(state: Payment, call: Call) -> tuple[Money, PaymentAuthorized | None]:
    """The amount that a call is about, and the authorization that it draws on."""
    match call.operation, state:
        case Operation.AUTHORIZATION, Pending(terms=terms):
            return terms.amount, None
        case (
            Operation.CAPTURE,
            Held(authorization=held, capture=capture)
            | Captured(authorization=held, capture=capture),
        ) if capture is not None:
            return capture.amount, held
        case Operation.VOID, Undoing(authorization=held) if held is not None:
            return held.amount, held
        case (
            Operation.VOID,
            Failed(returns=returns) | Canceled(returns=returns) | Captured(returns=returns),
        ):
            found = returns[call.operation_id].found
            return found.amount, PaymentAuthorized(
                amount=found.amount, provider_reference=found.provider_reference, method=None
            )
        case Operation.REFUND, Captured(authorization=held, refunds=refunds) if (
            call.operation_id in refunds
        ):
            return refunds[call.operation_id].amount, held
        case (
            Operation.REFUND,
            (
                Failed(returns=returns) | Canceled(returns=returns) | Captured(returns=returns)
            ) as paid,
        ):
            return returns[call.operation_id].found.amount, authorization_of(paid)
        case _:
            raise AssertionError(f"{call} is not of {state}")


def _call_of(state: Payment, operation_id: str) -> Call | None:
    for item in owed(state):
        if item.operation_id == operation_id:
            return item.call
    return None
