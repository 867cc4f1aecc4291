"""What a payment provider promises the saga, under threads and with books to prove it."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from florin.adapters.clock import ManualClock
from florin.adapters.simulator import SimulatorProvider
from florin.domain.payment import ATTEMPTS_MAX, PaymentAuthorized, PaymentInitiated
from florin.domain.payment import Call as ProviderCall
from florin.domain.provider import (
    Approved,
    Declined,
    NotAttempted,
    Operation,
    ProviderAnswer,
    Unknown,
)
from florin.ports import PaymentProvider, ProviderRoute
from simulator.handler import Simulator
from simulator.tokens import TOKENS, Kind
from tests.support.examples import NOON, TEN, TENANT, THREE_PERCENT
from tests.support.simulator import (
    SECRET,
    MemoryBooks,
    charges,
    in_process,
    make_simulator,
    memory_simulator,
    serving,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

AT_ONCE = 8
TERMS = PaymentInitiated(
    tenant_id=TENANT,
    amount=TEN,
    payment_method="tok_visa",
    recipient="acct_silk",
    provider="simulator",
    fee_terms=THREE_PERCENT,
    description=None,
    customer=None,
    order_id=None,
    metadata={},
)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture(params=["over_http", "in_process"])
def simulator(request: pytest.FixtureRequest, clock: ManualClock) -> Simulator:
    if request.param == "in_process":
        return memory_simulator(clock)
    client: DynamoDBClient = request.getfixturevalue("local_dynamodb")
    return make_simulator(client, clock)


@pytest.fixture
def provider(simulator: Simulator) -> Iterator[PaymentProvider]:
    if isinstance(simulator.service.books, MemoryBooks):
        yield in_process(simulator)
        return
    with serving(simulator) as url:
        yield SimulatorProvider(ProviderRoute(name="simulator", url=url), SECRET)


def call(operation: Operation, attempt: int = 1) -> ProviderCall:
    return ProviderCall(
        operation=operation,
        operation_id=f"pay_1:{operation}",
        attempt=attempt,
        key=attempt,
        key_until=None,
        reference=f"pay_1:{operation}",
        owner="weaver",
        deadline=NOON,
    )


def at_once(asks: list[Callable[[], ProviderAnswer]]) -> list[ProviderAnswer]:
    with ThreadPoolExecutor(len(asks)) as pool:
        return [future.result() for future in [pool.submit(ask) for ask in asks]]


def held(provider: PaymentProvider, card: str = "tok_visa") -> PaymentAuthorized:
    terms = replace(TERMS, payment_method=card)
    answer = provider.authorize(call(Operation.AUTHORIZATION), terms)
    assert isinstance(answer, Approved), answer
    return PaymentAuthorized(
        amount=TEN, provider_reference=answer.provider_reference, method=answer.method
    )


def states(simulator: Simulator) -> list[tuple[Any, Any]]:
    return [(charge["state"], charge["captured"]) for charge in charges(simulator, "pay_1")]


def test_one_attempt_many_times_at_once_is_one_charge(
    simulator: Simulator, provider: PaymentProvider
) -> None:
    made = call(Operation.AUTHORIZATION)
    answers = at_once([lambda: provider.authorize(made, TERMS)] * AT_ONCE)
    assert len(charges(simulator, "pay_1")) == 1
    assert {type(answer) for answer in answers} <= {Approved, Unknown}
    approved = {answer for answer in answers if isinstance(answer, Approved)}
    assert approved == {provider.look_up(made, TEN, None)}


def test_many_attempts_at_once_capture_once(
    simulator: Simulator, provider: PaymentProvider
) -> None:
    authorization = held(provider)
    calls = [call(Operation.CAPTURE, attempt) for attempt in range(1, AT_ONCE + 1)]
    answers = at_once(
        [lambda made=made: provider.capture(made, authorization, TEN) for made in calls]  # type: ignore[misc]  # a lambda's default has no annotation
    )
    assert [type(answer) for answer in answers].count(Approved) == 1
    assert {type(answer) for answer in answers} == {Approved, Unknown}
    assert states(simulator) == [("captured", 1_000)]
    (approved,) = (answer for answer in answers if isinstance(answer, Approved))
    assert {provider.look_up(made, TEN, authorization) for made in calls} == {approved}


def test_a_capture_and_a_void_at_once_are_one_of_the_two(
    simulator: Simulator, provider: PaymentProvider
) -> None:
    authorization = held(provider)
    captured, voided = at_once(
        [
            lambda: provider.capture(call(Operation.CAPTURE), authorization, TEN),
            lambda: provider.void(call(Operation.VOID), authorization),
        ]
    )
    assert [type(captured), type(voided)].count(Approved) == 1
    assert [type(captured), type(voided)].count(Declined) == 1
    won = "captured" if isinstance(captured, Approved) else "voided"
    assert states(simulator) == [(won, 1_000 if won == "captured" else 0)]


@pytest.mark.parametrize("token", ["tok_visa", "tok_declined"])
def test_what_was_answered_is_found_and_nothing_else(provider: PaymentProvider, token: str) -> None:
    made = call(Operation.AUTHORIZATION)
    assert provider.look_up(made, TEN, None) is None
    answer = provider.authorize(made, replace(TERMS, payment_method=token))
    assert provider.look_up(made, TEN, None) == answer
    nothing = PaymentAuthorized(amount=TEN, provider_reference="ch_1", method=None)
    assert provider.look_up(call(Operation.CAPTURE), TEN, nothing) is None


@pytest.mark.parametrize("operation", Operation)
def test_what_is_sent_again_under_its_key_is_the_same_thing(
    simulator: Simulator, provider: PaymentProvider, operation: Operation
) -> None:
    """Its first answer was lost: the second attempt hears it."""
    prefix = "tok" if operation is Operation.AUTHORIZATION else f"tok_{operation}"
    token, authorization = f"{prefix}_timeout_then_success", None
    if operation is not Operation.AUTHORIZATION:
        authorization = held(provider, token)
    if operation is Operation.REFUND:
        assert authorization is not None
        provider.capture(call(Operation.CAPTURE), authorization, TEN)
    first = call(operation)
    assert isinstance(asked(provider, first, token, authorization), Unknown)
    for attempt in (2, 3):
        again = replace(first, attempt=attempt)
        assert isinstance(asked(provider, again, token, authorization), Approved)
        assert times_done(simulator, operation) == 1
    assert provider.key_retention > provider.not_found_final_after


TROUBLED = [(name, kind) for name, token in TOKENS.items() for kind in token.fates or Kind]


@pytest.mark.parametrize(("token", "kind"), TROUBLED)
def test_every_outcome_is_what_happened(
    simulator: Simulator, provider: PaymentProvider, clock: ManualClock, token: str, kind: Kind
) -> None:
    """Approved is done, Declined and NotAttempted are not, and a final look-up knows of Unknown."""
    operation, authorization = Operation(kind), None
    if operation is not Operation.AUTHORIZATION:
        authorization = held(provider, token)
    if operation is Operation.REFUND:
        assert authorization is not None
        provider.capture(call(Operation.CAPTURE), authorization, TEN)

    for attempt in range(1, ATTEMPTS_MAX + 1):
        made = call(operation, attempt)
        outcome = asked(provider, made, token, authorization)
        done = times_done(simulator, operation)
        assert done <= 1
        if isinstance(outcome, Unknown):
            clock.advance(provider.not_found_final_after)
            outcome = provider.look_up(made, TEN, authorization) or NotAttempted(reason="not_found")
        assert type(outcome) in ({Approved} if done else {Declined, NotAttempted})
        if type(outcome) is not NotAttempted:
            return


def asked(
    provider: PaymentProvider,
    made: ProviderCall,
    token: str,
    authorization: PaymentAuthorized | None,
) -> ProviderAnswer:
    if authorization is None:
        return provider.authorize(made, replace(TERMS, payment_method=token))
    if made.operation is Operation.CAPTURE:
        return provider.capture(made, authorization, TEN)
    if made.operation is Operation.VOID:
        return provider.void(made, authorization)
    return provider.refund(made, authorization, TEN)


def times_done(simulator: Simulator, operation: Operation) -> int:
    """How often the simulator's books say that it was done."""
    found = charges(simulator, "pay_1")
    match operation:
        case Operation.AUTHORIZATION:
            return len(found)
        case Operation.CAPTURE:
            return sum(charge["captured"] == TEN.minor for charge in found)
        case Operation.VOID:
            return sum(charge["state"] == "voided" for charge in found)
        case Operation.REFUND:
            return sum(charge["refunded"] == TEN.minor for charge in found)
