"""Whatever is sent as a body is answered, never with a 5xx, and writes only what it creates."""

import json
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.functions.world import World, payment_body

NAMES = (
    *("amount", "currency", "payment_method", "recipient", "kind"),
    *("description", "customer", "order_id", "metadata", "capture_method"),
)

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=[]), max_size=8)
    | st.sampled_from(["EUR", "USD", "tok_visa", "seller", 1, 1_000, 10**12])
)
names = st.sampled_from(NAMES) | st.text(st.characters(exclude_categories=[]), max_size=8)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=8,
)
strings = st.dictionaries(
    st.text(st.characters(exclude_categories=[]), max_size=8),
    st.text(st.characters(exclude_categories=[]), max_size=8),
    max_size=3,
)
# What is nearly right gets past the door more often than what is anything.
nearly = st.fixed_dictionaries(
    {}, optional={name: scalars | strings for name in NAMES if name != "recipient"}
)


def answered(path: str, body: Any, world: World) -> None:
    writes, starts = len(world.store.written), len(world.sagas.started)
    text = body if isinstance(body, str) else json.dumps(body)
    reply = world.post(path, text, key=f"key-{writes}")
    assert reply.status < 500
    created = reply.status == 201
    assert len(world.store.written) == writes + created
    assert len(world.sagas.started) == starts + (created and path == "/payments")


@settings(deadline=None)
@given(values)
def test_any_json_is_answered(body: Any) -> None:
    for path in ("/payments", "/accounts"):
        answered(path, body, World())


@settings(deadline=None)
@given(nearly)
@example({})
@example({"metadata": {"a.b": "\0"}})
def test_any_payment_is_answered(fields: dict[str, Any]) -> None:
    world = World()
    answered("/payments", payment_body(world.account(), **fields), world)


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=[])))
def test_any_text_is_answered(text: str) -> None:
    answered("/payments", text, World())
