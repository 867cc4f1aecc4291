"""Whatever is sent to the API, it answers as its document says: never with a 5xx, never with a
status or code that is not documented for the call, with its headers and in its shape.

Requests are made from the served document; those to a deployed stack are in tests/e2e.
"""

import json
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test
from schemathesis import GenerationMode

from tests.functions.document import SERVED
from tests.functions.gateway import KEY, Gateway
from tests.functions.route_calls import CALLS, RICH
from tests.functions.world import World
from tests.support.conformance import CHECKS, blended, examples, modes, schema_of
from tests.support.examples import TENANT

SCHEMA: Final = schema_of(SERVED)
HEADERS: Final = {"Authorization": f"Bearer {KEY}"}
EXAMPLES: Final = 20


def operation(route: str) -> Any:
    method, path = route.split()
    return SCHEMA[path][method]


@pytest.mark.parametrize(
    ("route", "mode"),
    [
        pytest.param(route, mode, id=f"{route} {mode.value}")
        for route in CALLS
        for mode in modes(operation(route))
    ],
)
def test_whatever_is_asked_is_answered_as_documented(route: str, mode: GenerationMode) -> None:
    @examples(EXAMPLES)
    @given(operation(route).as_strategy(mode), st.data())
    def check(case: Any, data: st.DataObject) -> None:
        world = World()
        call = data.draw(st.sampled_from(CALLS[route]), label="call")
        good = call.event(route, call.ids(world))
        blended(
            case,
            data,
            path=good["pathParameters"] or {},
            query=good["queryStringParameters"] or {},
            body=json.loads(good["body"] or "{}"),
        )
        case.headers.update(HEADERS)
        response = case.call(app=Gateway(world))
        case.validate_response(response, checks=CHECKS)

    check()


def client(tag: str) -> Any:
    """A client that takes ids out of answers into other calls, by the document's links.

    It knows an account with money and one to pay, and asks for little, in euros.
    """
    machine: Any = SCHEMA.include(tag=tag).as_state_machine()

    class Client(machine):  # type: ignore[misc]  # made from the document
        def setup(self) -> None:
            self.world = World()
            payer, seller = RICH.make(self.world, TENANT), self.world.account()
            self.good = {
                "account": payer,
                "amount": 100,
                "currency": "EUR",
                "parts": [{"recipient": seller, "amount": 100}],
                "payment_method": "tok_visa",
                "recipient": seller,
            }

        def before_call(self, case: Any) -> None:
            if isinstance(case.body, dict):
                case.body |= {name: self.good[name] for name in self.good.keys() & case.body.keys()}

        def get_call_kwargs(self, case: Any) -> dict[str, Any]:
            case.headers.update(HEADERS)
            return {"app": Gateway(self.world)}

        def validate_response(self, response: Any, case: Any, **_: Any) -> None:
            case.validate_response(response, checks=CHECKS)

    return Client


# A payment needs its recipient first, which no link can say; the test above asks with one.
@pytest.mark.parametrize("tag", ["Accounts", "Holds"])
def test_calls_that_follow_each_other_are_answered_as_documented(tag: str) -> None:
    run_state_machine_as_test(client(tag), settings=settings(examples(15), stateful_step_count=10))
