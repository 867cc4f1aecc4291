"""What the engine learns from the simulator, over real HTTP, and from servers that misbehave."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws
from samtranslator.yaml_helper import yaml_parse

from florin.adapters.clock import ManualClock
from florin.adapters.http import TOTAL_TIMEOUT_S, Timeouts
from florin.adapters.simulator import NOT_FOUND_FINAL_AFTER, SimulatorProvider
from florin.domain.money import Money
from florin.domain.payment import Call, PaymentAuthorized, PaymentInitiated
from florin.domain.provider import (
    Approved,
    Declined,
    Hardness,
    Method,
    NotAttempted,
    Operation,
    ProviderAnswer,
    Unknown,
)
from florin.ports import ProviderRoute
from florin.saga import ANSWER_TIME
from infra.paths import ROOT
from simulator.handler import Simulator
from simulator.tokens import PREFIXES, TROUBLES, AnswerLost, Kind, Slow
from tests.support.examples import NOON, TEN, TENANT, THREE_PERCENT
from tests.support.simulator import SECRET, charges, make_simulator, serving
from tests.support.sockets import Behaviour, answer, closed_port, raw, reset, rogue, silent

SOON = Timeouts(connect_s=0.2, total_s=0.4)
PATIENCE_S = 10.0
HTML = b"<html><body>Bad Gateway</body></html>"


def provider_at(
    url: str, secret: str = SECRET, timeouts: Timeouts | None = None
) -> SimulatorProvider:
    return SimulatorProvider(ProviderRoute(name="simulator", url=url), secret, timeouts)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
def simulator(clock: ManualClock) -> Iterator[Simulator]:
    with mock_aws():
        yield make_simulator(boto3.client("dynamodb"), clock)


@pytest.fixture
def url(simulator: Simulator) -> Iterator[str]:
    with serving(simulator) as url:
        yield url


@pytest.fixture
def provider(url: str) -> SimulatorProvider:
    return provider_at(url)


def call(operation: Operation, attempt: int = 1) -> Call:
    return Call(
        operation=operation,
        operation_id=f"pay_1:{operation}",
        attempt=attempt,
        key=attempt,
        key_until=None,
        reference=f"pay_1:{operation}",
        owner="weaver",
        deadline=NOON,
    )


AUTHORIZE, CAPTURE, VOID, REFUND = (call(operation) for operation in Operation)


def terms(card: str = "tok_visa", amount: Money = TEN) -> PaymentInitiated:
    return PaymentInitiated(
        tenant_id=TENANT,
        amount=amount,
        payment_method=card,
        recipient="acct_silk",
        provider="simulator",
        fee_terms=THREE_PERCENT,
        description=None,
        customer=None,
        order_id=None,
        metadata={},
    )


def held(charge: str, amount: Money = TEN) -> PaymentAuthorized:
    return PaymentAuthorized(amount=amount, provider_reference=charge, method=None)


def authorized(
    provider: SimulatorProvider, card: str = "tok_visa", attempt: int = 1
) -> PaymentAuthorized:
    answered = provider.authorize(replace(AUTHORIZE, attempt=attempt, key=attempt), terms(card))
    assert isinstance(answered, Approved), answered
    return held(answered.provider_reference)


def refused(code: str) -> Declined:
    return Declined(code=code, hardness=Hardness.HARD)


def books(simulator: Simulator) -> list[tuple[str, int, int]]:
    """State, authorized and captured amount of every charge of the payment."""
    return [
        (charge["state"], charge["authorized"], charge["captured"])
        for charge in charges(simulator, "pay_1")
    ]


# What the simulator says.


@pytest.mark.parametrize(("token", "last4"), [("tok_visa", "4242"), ("card_token_abc123", "1234")])
def test_an_authorization_is_approved(
    simulator: Simulator, provider: SimulatorProvider, token: str, last4: str
) -> None:
    approved = provider.authorize(AUTHORIZE, terms(token))
    (charge,) = charges(simulator, "pay_1")
    assert approved == Approved(
        provider_reference=charge["charge"],
        method=Method(kind="card", brand="visa", last4=last4),
    )
    assert (charge["authorized"], charge["currency"], charge["state"]) == (
        1_000,
        "EUR",
        "authorized",
    )


@pytest.mark.parametrize(
    ("token", "code", "hardness"),
    [
        ("tok_insufficient_funds", "insufficient_funds", Hardness.SOFT),
        ("tok_declined", "card_declined", Hardness.SOFT),
        ("tok_expired_card", "expired_card", Hardness.HARD),
        ("tok_fraudulent", "fraudulent", Hardness.HARD),
        ("tok_of_nobody", "invalid_payment_method", Hardness.HARD),
    ],
)
def test_an_authorization_is_declined(
    simulator: Simulator, provider: SimulatorProvider, token: str, code: str, hardness: Hardness
) -> None:
    declined = Declined(code=code, hardness=hardness)
    assert provider.authorize(AUTHORIZE, terms(token)) == declined
    assert books(simulator) == []
    assert provider.look_up(AUTHORIZE, TEN, None) == declined


def test_a_capture_is_approved(simulator: Simulator, provider: SimulatorProvider) -> None:
    charge = authorized(provider)
    approved = provider.capture(CAPTURE, charge, TEN)
    assert isinstance(approved, Approved)
    assert approved.provider_reference == charge.provider_reference
    assert books(simulator) == [("captured", 1_000, 1_000)]


def test_part_of_it_is_captured(simulator: Simulator, provider: SimulatorProvider) -> None:
    provider.capture(CAPTURE, authorized(provider), Money(400, "EUR"))
    assert books(simulator) == [("captured", 1_000, 400)]


def test_a_capture_is_declined_and_voided(
    simulator: Simulator, provider: SimulatorProvider
) -> None:
    charge = authorized(provider, "tok_capture_fails")
    declined = Declined(code="capture_failed", hardness=Hardness.HARD)
    assert provider.capture(CAPTURE, charge, TEN) == declined
    assert provider.look_up(CAPTURE, TEN, charge) == declined
    voided = provider.void(VOID, charge)
    assert isinstance(voided, Approved)
    assert voided.provider_reference == charge.provider_reference
    assert provider.look_up(VOID, TEN, charge) == voided
    assert books(simulator) == [("voided", 1_000, 0)]


def test_the_same_attempt_again_moves_nothing(
    simulator: Simulator, provider: SimulatorProvider
) -> None:
    first = provider.authorize(AUTHORIZE, terms())
    assert provider.authorize(AUTHORIZE, terms()) == first
    charge = authorized(provider)
    assert provider.capture(CAPTURE, charge, TEN) == provider.capture(CAPTURE, charge, TEN)
    assert books(simulator) == [("captured", 1_000, 1_000)]


def test_another_key_is_another_charge(simulator: Simulator, provider: SimulatorProvider) -> None:
    assert authorized(provider, attempt=1) != authorized(provider, attempt=2)
    assert books(simulator) == [("authorized", 1_000, 0)] * 2


def test_an_attempt_used_for_something_else_is_unknown(
    simulator: Simulator, provider: SimulatorProvider
) -> None:
    authorized(provider)
    outcome = provider.authorize(AUTHORIZE, terms(amount=Money(999, "EUR")))
    assert outcome == Unknown(reason="http_422: idempotency_key_reused")
    assert books(simulator) == [("authorized", 1_000, 0)]


# Refusals by the state of the charge.


def test_what_was_captured_under_another_attempt_is_looked_up(
    simulator: Simulator, provider: SimulatorProvider
) -> None:
    charge = authorized(provider)
    first = provider.capture(CAPTURE, charge, TEN)
    second = replace(CAPTURE, attempt=2, key=2)
    assert provider.capture(second, charge, TEN) == Unknown(reason="http_409: charge_captured")
    assert provider.look_up(second, TEN, charge) == first
    assert books(simulator) == [("captured", 1_000, 1_000)]


def test_what_was_voided_under_another_attempt_is_looked_up(provider: SimulatorProvider) -> None:
    charge = authorized(provider)
    first = provider.void(VOID, charge)
    second = replace(VOID, attempt=2, key=2)
    assert provider.void(second, charge) == Unknown(reason="http_409: charge_voided")
    assert provider.look_up(second, TEN, charge) == first


def test_what_cannot_happen_any_more_is_declined(
    simulator: Simulator, provider: SimulatorProvider
) -> None:
    taken = authorized(provider, attempt=1)
    more = Money(1_001, "EUR")
    assert provider.capture(CAPTURE, taken, more) == refused("amount_exceeds_authorization")
    provider.capture(CAPTURE, taken, TEN)
    assert provider.void(VOID, taken) == refused("charge_captured")

    let_go = authorized(provider, attempt=2)
    provider.void(replace(VOID, attempt=2, key=2), let_go)
    again = replace(CAPTURE, attempt=2, key=2)
    assert provider.capture(again, let_go, TEN) == refused("charge_voided")

    nobody = held("ch_nobody/../?")
    assert provider.capture(again, nobody, TEN) == refused("charge_not_found")
    assert provider.void(replace(VOID, attempt=3, key=3), nobody) == refused("charge_not_found")
    assert sorted(books(simulator)) == [("captured", 1_000, 1_000), ("voided", 1_000, 0)]


# Our own mistakes.


def test_a_wrong_secret_attempts_nothing_and_finds_out_nothing(
    simulator: Simulator, url: str
) -> None:
    stranger = provider_at(url, secret="guess")
    unauthorized = NotAttempted(reason="unauthorized")
    assert stranger.authorize(AUTHORIZE, terms()) == unauthorized
    assert stranger.capture(CAPTURE, held("ch_1"), TEN) == unauthorized
    assert stranger.void(VOID, held("ch_1")) == unauthorized
    assert stranger.look_up(AUTHORIZE, TEN, None) == Unknown(
        reason="look_up: http_401: unauthorized"
    )
    assert books(simulator) == []


def test_a_wrong_address_attempts_nothing_and_finds_out_nothing(
    simulator: Simulator, url: str
) -> None:
    lost = provider_at(f"{url}/v0")
    assert lost.authorize(AUTHORIZE, terms()) == NotAttempted(reason="route_not_found")
    assert lost.look_up(AUTHORIZE, TEN, None) == Unknown(
        reason="look_up: http_404: route_not_found"
    )
    assert books(simulator) == []


def test_a_bad_request_attempts_nothing(simulator: Simulator, provider: SimulatorProvider) -> None:
    nothing = terms(amount=Money(0, "EUR"))
    assert provider.authorize(AUTHORIZE, nothing) == NotAttempted(reason="invalid_request")
    assert books(simulator) == []


# Look-ups.


def test_what_was_never_asked_is_not_found(provider: SimulatorProvider) -> None:
    charge = authorized(provider)
    assert provider.look_up(CAPTURE, TEN, charge) is None
    elsewhere = replace(AUTHORIZE, reference="pay_2:authorization")
    assert provider.look_up(elsewhere, TEN, None) is None


def test_an_answer_is_found_again(provider: SimulatorProvider) -> None:
    approved = provider.authorize(AUTHORIZE, terms())
    assert provider.look_up(AUTHORIZE, TEN, None) == approved


def test_money_that_an_earlier_attempt_moved_is_found(provider: SimulatorProvider) -> None:
    first = provider.authorize(AUTHORIZE, terms())
    second = replace(AUTHORIZE, attempt=2, key=2)
    assert provider.look_up(second, TEN, None) == first
    provider.authorize(second, terms("tok_declined"))
    assert provider.look_up(second, TEN, None) == first


def test_of_two_charges_an_attempt_finds_its_own(provider: SimulatorProvider) -> None:
    calls = [replace(AUTHORIZE, attempt=attempt, key=attempt) for attempt in (1, 2)]
    answers = [provider.authorize(made, terms()) for made in calls]
    assert [provider.look_up(made, TEN, None) for made in calls] == answers
    assert answers[0] != answers[1]


def test_the_decline_of_an_earlier_attempt_is_not_this_ones(provider: SimulatorProvider) -> None:
    provider.authorize(AUTHORIZE, terms("tok_declined"))
    assert provider.look_up(replace(AUTHORIZE, attempt=2, key=2), TEN, None) is None


def test_a_look_up_is_final_only_after_every_request_has_ended_and_shows() -> None:
    """A request leaves before its call's deadline, and the simulator's function ends it."""
    assert timedelta(seconds=TOTAL_TIMEOUT_S) <= ANSWER_TIME
    at_work = timedelta(seconds=simulator_timeout_s())
    hidden = max(fate.shown_after for fate in TROUBLES.values() if isinstance(fate, AnswerLost))
    assert at_work + hidden < NOT_FOUND_FINAL_AFTER


def test_who_is_slow_is_faster_than_everybody_waits() -> None:
    slow = [fate.seconds for fate in TROUBLES.values() if isinstance(fate, Slow)]
    assert 0 < max(slow) < min(simulator_timeout_s(), TOTAL_TIMEOUT_S)


def simulator_timeout_s() -> int:
    template = yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))
    timeout_s: int = template["Resources"]["SimulatorFunction"]["Properties"]["Timeout"]
    return timeout_s


# Trouble. A card gets into it with one operation, and with the others it is a good one.


def asking(provider: SimulatorProvider, operation: Operation, card: str) -> Callable[[int], Any]:
    """Asks for the operation by attempt, after what has to come before it."""
    made = call(operation)
    if operation is Operation.AUTHORIZATION:
        return lambda attempt: provider.authorize(
            replace(made, attempt=attempt, key=attempt), terms(card)
        )
    charge = authorized(provider, card)
    if operation is Operation.CAPTURE:
        return lambda attempt: provider.capture(
            replace(made, attempt=attempt, key=attempt), charge, TEN
        )
    if operation is Operation.VOID:
        return lambda attempt: provider.void(replace(made, attempt=attempt, key=attempt), charge)
    provider.capture(CAPTURE, charge, TEN)
    return lambda attempt: provider.refund(replace(made, attempt=attempt, key=attempt), charge, TEN)


def looked_up(
    simulator: Simulator, provider: SimulatorProvider, operation: Operation
) -> ProviderAnswer | None:
    charge = None
    if operation is not Operation.AUTHORIZATION:
        charge = held(charges(simulator, "pay_1")[0]["charge"])
    return provider.look_up(call(operation), TEN, charge)


DONE = {
    Operation.AUTHORIZATION: ("authorized", 0, 0),
    Operation.CAPTURE: ("captured", 1_000, 0),
    Operation.VOID: ("voided", 0, 0),
    Operation.REFUND: ("captured", 1_000, 1_000),
}
NOT_DONE = {
    Operation.AUTHORIZATION: None,
    Operation.CAPTURE: ("authorized", 0, 0),
    Operation.VOID: ("authorized", 0, 0),
    Operation.REFUND: ("captured", 1_000, 0),
}
every_operation = pytest.mark.parametrize("operation", Operation)


def moved(simulator: Simulator) -> tuple[str, int, int] | None:
    """State, captured and refunded amount of the only charge, if there is one."""
    found = [
        (charge["state"], charge["captured"], charge["refunded"])
        for charge in charges(simulator, "pay_1")
    ]
    assert len(found) <= 1, "charged twice"
    return found[0] if found else None


def in_trouble(operation: Operation, trouble: str) -> str:
    return f"{PREFIXES[Kind(operation)]}_{trouble}"


@every_operation
def test_done_and_not_heard_is_found_a_little_later(
    simulator: Simulator, provider: SimulatorProvider, clock: ManualClock, operation: Operation
) -> None:
    asked = asking(provider, operation, in_trouble(operation, "timeout_then_success"))
    assert asked(1) == Unknown(reason="http_504")
    assert moved(simulator) == DONE[operation]
    assert looked_up(simulator, provider, operation) is None
    clock.advance(timedelta(seconds=2.999))
    assert looked_up(simulator, provider, operation) is None
    clock.advance(timedelta(seconds=0.001))
    found = looked_up(simulator, provider, operation)
    assert isinstance(found, Approved)
    assert asked(1) == found, "its key answers what had been lost"
    assert moved(simulator) == DONE[operation]


@every_operation
def test_not_done_and_not_heard_is_never_found(
    simulator: Simulator, provider: SimulatorProvider, clock: ManualClock, operation: Operation
) -> None:
    asked = asking(provider, operation, in_trouble(operation, "timeout_then_nothing"))
    for attempt in (1, 1, 2, 3, 4):
        assert asked(attempt) == Unknown(reason="http_504")
    clock.advance(timedelta(days=1))
    assert moved(simulator) == NOT_DONE[operation]
    assert looked_up(simulator, provider, operation) is None


@every_operation
@pytest.mark.parametrize(
    ("trouble", "before"),
    [
        ("timeout_once", [Unknown(reason="http_504")]),
        ("rate_limited", [NotAttempted(reason="not_attempted")]),
        ("unavailable_twice", [NotAttempted(reason="not_attempted")] * 2),
    ],
)
def test_trouble_passes(
    simulator: Simulator,
    provider: SimulatorProvider,
    operation: Operation,
    trouble: str,
    before: list[ProviderAnswer],
) -> None:
    asked = asking(provider, operation, in_trouble(operation, trouble))
    for attempt, answered in enumerate(before, 1):
        assert asked(attempt) == answered
        assert moved(simulator) == NOT_DONE[operation]
    approved = asked(len(before) + 1)
    assert isinstance(approved, Approved)
    assert moved(simulator) == DONE[operation]
    assert looked_up(simulator, provider, operation) == approved


@every_operation
def test_who_is_unavailable_stays_so_and_says_that_nothing_was_done(
    simulator: Simulator, provider: SimulatorProvider, operation: Operation
) -> None:
    asked = asking(provider, operation, in_trouble(operation, "unavailable"))
    for attempt in range(1, 5):
        assert asked(attempt) == NotAttempted(reason="not_attempted")
    assert moved(simulator) == NOT_DONE[operation]
    assert looked_up(simulator, provider, operation) is None


@every_operation
def test_who_is_slow_answers_in_the_end(
    simulator: Simulator, provider: SimulatorProvider, clock: ManualClock, operation: Operation
) -> None:
    asked = asking(provider, operation, in_trouble(operation, "slow"))
    begun = clock.now()
    assert isinstance(asked(1), Approved)
    assert clock.now() - begun == timedelta(seconds=3), "as its own clock has it"
    assert moved(simulator) == DONE[operation]


def test_who_does_not_wait_for_a_slow_answer_finds_it_later(
    simulator: Simulator, provider: SimulatorProvider
) -> None:
    """A timeout of our own: while we give up, the charge has not even been made."""
    given_up = threading.Event()

    def pause(seconds: float) -> None:
        given_up.wait(PATIENCE_S)

    slow = replace(simulator.service, pause=pause)
    with serving(Simulator(slow, SECRET)) as slow_url:
        outcome = provider_at(slow_url, timeouts=SOON).authorize(AUTHORIZE, terms("tok_slow"))
        assert outcome == Unknown(reason="timeout")
        assert provider.look_up(AUTHORIZE, TEN, None) is None
        given_up.set()
    # That server has ended, and with it its requests.
    assert isinstance(provider.look_up(AUTHORIZE, TEN, None), Approved)


# What is found is compared with what was asked.


def test_another_amount_under_our_reference_is_no_answer(provider: SimulatorProvider) -> None:
    provider.authorize(AUTHORIZE, terms(amount=Money(999, "EUR")))
    assert provider.look_up(AUTHORIZE, TEN, None) == Unknown(reason="not_what_was_asked: amount")


def test_another_currency_under_our_reference_is_no_answer(provider: SimulatorProvider) -> None:
    provider.authorize(AUTHORIZE, terms(amount=Money(1_000, "USD")))
    assert provider.look_up(AUTHORIZE, TEN, None) == Unknown(reason="not_what_was_asked: currency")


def test_another_operation_under_our_reference_is_no_answer(provider: SimulatorProvider) -> None:
    charge = authorized(provider)
    provider.capture(replace(CAPTURE, reference=REFUND.reference), charge, TEN)
    assert provider.look_up(REFUND, TEN, charge) == Unknown(reason="not_what_was_asked: operation")


def test_another_charge_under_our_reference_is_no_answer(provider: SimulatorProvider) -> None:
    first, second = authorized(provider, attempt=1), authorized(provider, attempt=2)
    provider.capture(CAPTURE, first, TEN)
    assert provider.look_up(CAPTURE, TEN, second) == Unknown(reason="not_what_was_asked: charge")


def test_one_of_several_that_is_something_else_makes_all_doubtful(
    provider: SimulatorProvider,
) -> None:
    provider.authorize(AUTHORIZE, terms())
    other = terms(amount=Money(10_000, "EUR"))
    provider.authorize(replace(AUTHORIZE, attempt=2, key=2), other)
    assert provider.look_up(AUTHORIZE, TEN, None) == Unknown(reason="not_what_was_asked: amount")


def test_the_decline_of_another_amount_is_no_answer(provider: SimulatorProvider) -> None:
    provider.authorize(AUTHORIZE, terms("tok_declined", Money(999, "EUR")))
    assert provider.look_up(AUTHORIZE, TEN, None) == Unknown(reason="not_what_was_asked: amount")


# Servers that misbehave.


Ask = Callable[[SimulatorProvider], ProviderAnswer | None]
ASKS: dict[str, Ask] = {
    "authorize": lambda provider: provider.authorize(AUTHORIZE, terms()),
    "capture": lambda provider: provider.capture(CAPTURE, held("ch_1"), TEN),
    "void": lambda provider: provider.void(VOID, held("ch_1")),
    "look_up": lambda provider: provider.look_up(AUTHORIZE, TEN, None),
}
every_call = pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS.keys())
every_post = pytest.mark.parametrize("ask", list(ASKS.values())[:3], ids=list(ASKS)[:3])


def error(status: int, code: str) -> Behaviour:
    return answer(status, json.dumps({"error": {"code": code}}).encode())


@every_call
@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(raw(), id="closes"),
        pytest.param(reset, id="resets"),
        pytest.param(silent, id="silent"),
        pytest.param(raw(b"HTTP/1.1 200 OK\r\n"), id="half-a-head"),
        pytest.param(answer(201, b'{"status": "appr', 500), id="half-a-body"),
        pytest.param(raw(b'HTTP/1.1 201 OK\r\n\r\n{"status": "appr'), id="torn-without-length"),
        pytest.param(answer(500, b""), id="500"),
        pytest.param(answer(500, b'{"message": "Internal Server Error"}'), id="500-json"),
        pytest.param(answer(502, HTML), id="502-html"),
        pytest.param(answer(504, HTML), id="504-html"),
        pytest.param(answer(200, HTML), id="200-html"),
        pytest.param(answer(200, b"[]"), id="200-list"),
        pytest.param(answer(200, b"{}"), id="200-empty"),
        pytest.param(answer(201, b'{"status": "approved", "charge": "ch_9"}'), id="201-thin"),
        pytest.param(answer(200, b'{"operations": [{}]}'), id="200-empty-operation"),
        pytest.param(answer(200, b'{"operations": {}}'), id="200-no-operations"),
        pytest.param(answer(202, b'{"status": "pending"}'), id="202"),
        pytest.param(answer(302, b"", extra=b"Location: /\r\n"), id="302"),
        # Somebody else's words, between the simulator and us.
        pytest.param(answer(400, HTML), id="400-html"),
        pytest.param(answer(401, b'{"message": "Unauthorized"}'), id="401-gateway"),
        pytest.param(answer(402, HTML), id="402-html"),
        pytest.param(answer(403, b'{"message": "Missing Authentication Token"}'), id="403-gateway"),
        pytest.param(answer(404, b'{"message": "Not Found"}'), id="404-gateway"),
        pytest.param(answer(429, b'{"message": "Limit Exceeded"}'), id="429-gateway"),
        pytest.param(answer(503, HTML), id="503-html"),
        # Its own words, which leave open what happened.
        pytest.param(error(409, "in_flight"), id="409-in-flight"),
        pytest.param(error(422, "idempotency_key_reused"), id="422-reused"),
        pytest.param(error(500, "not_attempted"), id="500-not-attempted"),
        pytest.param(error(503, "charge_voided"), id="503-refused"),
        pytest.param(error(402, "card_declined"), id="402-of-no-hardness"),
        pytest.param(
            answer(402, b'{"error": {"code": "card_declined", "hardness": "odd"}}'),
            id="402-of-odd-hardness",
        ),
        pytest.param(answer(402, b'{"error": "card_declined"}'), id="402-of-no-object"),
        pytest.param(answer(429, b'{"error": {"code": 7}}'), id="429-of-no-code"),
    ],
)
def test_what_is_not_certain_is_unknown_and_asked_once(ask: Ask, behaviour: Behaviour) -> None:
    timeouts = SOON if behaviour is silent else Timeouts()
    with rogue(behaviour) as server:
        outcome = ask(provider_at(server.url, timeouts=timeouts))
    assert isinstance(outcome, Unknown), outcome
    assert len(server.heard) == 1


@every_post
@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "invalid_json"),
        (400, "invalid_request"),
        (401, "unauthorized"),
        (404, "route_not_found"),
        (429, "not_attempted"),
        (503, "not_attempted"),
    ],
)
def test_a_simulator_that_did_not_begin_says_so(ask: Ask, status: int, code: str) -> None:
    with rogue(error(status, code)) as server:
        assert ask(provider_at(server.url)) == NotAttempted(reason=code)


@every_post
def test_a_port_without_a_server_attempts_nothing(ask: Ask) -> None:
    outcome = ask(provider_at(f"http://127.0.0.1:{closed_port()}"))
    assert outcome == NotAttempted(reason="not_connected")


def test_a_look_up_that_did_not_arrive_says_nothing_of_the_operation() -> None:
    lost = provider_at(f"http://127.0.0.1:{closed_port()}")
    assert lost.look_up(AUTHORIZE, TEN, None) == Unknown(reason="look_up: not_connected")
    for status in (429, 503):
        with rogue(error(status, "not_attempted")) as server:
            outcome = provider_at(server.url).look_up(AUTHORIZE, TEN, None)
        assert outcome == Unknown(reason=f"look_up: http_{status}: not_attempted")


APPROVED: dict[str, Any] = {
    "operation": "capture",
    "reference": "pay_1:capture",
    "idempotency_key": "pay_1:capture:1",
    "status": "approved",
    "charge": "ch_1",
    "amount": 1_000,
    "currency": "EUR",
}


def captured(**changed: object) -> ProviderAnswer | None:
    body = json.dumps({**APPROVED, **changed}).encode()
    with rogue(answer(201, body)) as server:
        return provider_at(server.url).capture(CAPTURE, held("ch_1"), TEN)


def test_an_approval_needs_no_more_than_what_was_asked_for() -> None:
    assert captured() == Approved(provider_reference="ch_1")
    assert captured(payment_method={"kind": "card"}) == Approved(provider_reference="ch_1")


@pytest.mark.parametrize(
    "changed",
    [
        {"operation": "authorization"},
        {"reference": "pay_2:capture"},
        {"charge": "ch_2"},
        {"charge": None},
        {"amount": 999},
        {"currency": "USD"},
        {"amount": 999, "currency": "USD"},
    ],
)
def test_an_approval_of_something_else_is_unknown(changed: dict[str, object]) -> None:
    reason = f"not_what_was_asked: {', '.join(changed)}"
    assert captured(**changed) == Unknown(reason=reason)


@pytest.mark.parametrize("status", ["pending", "declined", None])
def test_an_approval_that_is_none_is_unknown(status: str | None) -> None:
    error = {"code": "card_declined", "hardness": "hard"}
    assert captured(status=status, error=error) == Unknown(reason="answer_not_understood")


def test_a_void_of_another_charge_is_unknown() -> None:
    """What is let go must be what was held, or money stays held and nobody knows."""
    void = {**APPROVED, "operation": "void", "reference": "pay_1:void"}
    with rogue(answer(201, json.dumps(void).encode())) as server:
        provider = provider_at(server.url)
        assert provider.void(VOID, held("ch_1")) == Approved(provider_reference="ch_1")
        assert provider.void(VOID, held("ch_2")) == Unknown(reason="not_what_was_asked: charge")


def test_a_card_number_in_an_answer_goes_no_further() -> None:
    whole = {"kind": "card", "brand": "visa", "last4": "4242424242424242"}
    approved = captured(payment_method=whole)
    assert isinstance(approved, Approved)
    assert approved.method == Method(kind="card", brand="visa", last4="4242")


def test_what_was_captured_is_given_back_up_to_itself(
    simulator: Simulator, provider: SimulatorProvider
) -> None:
    charge = authorized(provider)
    assert isinstance(provider.refund(REFUND, charge, TEN), Declined), "nothing was captured"
    provider.capture(CAPTURE, charge, TEN)
    part = replace(REFUND, reference="pay_1:ref_1")
    rest = replace(REFUND, reference="pay_1:ref_2")
    six = Money(600, "EUR")
    assert isinstance(provider.refund(part, charge, six), Approved)
    assert isinstance(provider.refund(part, charge, six), Approved), "the same key, once"
    assert provider.refund(rest, charge, six) == refused("amount_exceeds_captured")
    assert [charge["refunded"] for charge in charges(simulator, "pay_1")] == [600]


def test_captures_go_on_until_the_final_one(
    simulator: Simulator, provider: SimulatorProvider
) -> None:
    charge, four = authorized(provider), Money(400, "EUR")
    first = replace(CAPTURE, reference="pay_1:cap_1")
    assert isinstance(provider.capture(first, charge, four, final=False), Approved)
    assert books(simulator) == [("authorized", 1_000, 400)]
    assert provider.void(VOID, charge) == refused("charge_captured")
    too_much = provider.capture(replace(CAPTURE, reference="pay_1:cap_2"), charge, TEN)
    assert too_much == refused("amount_exceeds_authorization")
    last = replace(CAPTURE, reference="pay_1:cap_3")
    assert isinstance(provider.capture(last, charge, four), Approved)
    assert books(simulator) == [("captured", 1_000, 800)]
