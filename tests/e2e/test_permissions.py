"""Each function's role is matched with the calls that its function made in this run.

The stacks enforce the roles, so what is missing shows as a failure where it is needed. Here it is
told by its name, and so is what no test needs.
"""

from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Final

import pytest

from tests.support.permissions import LEFT_OUT, RECORDED, Permission, Recorder, Role, Roles

Recorded = list[tuple[Roles, Recorder]]

UNUSED: Final[Mapping[str, tuple[tuple[str, Permission], ...]]] = {}
"""Why a function may do what no test makes it do."""


@pytest.fixture(autouse=True)
def no_failures() -> None:
    """These tests need no stack: what they judge is over."""


@pytest.fixture
def recorded(request: pytest.FixtureRequest) -> Recorded:
    return request.config.stash.get(RECORDED, [])


@pytest.fixture
def roles(recorded: Recorded) -> Mapping[str, Role]:
    """The roles, which are the same on every stack."""
    if not recorded:
        pytest.skip("no stack was there")
    (first, _), *others = recorded
    for other, _ in others:
        assert {name: role.own for name, role in other.roles.items()} == {
            name: role.own for name, role in first.roles.items()
        }
    return first.roles


def calls(recorded: Recorded) -> set[tuple[str, Permission]]:
    return set(
        chain.from_iterable(roles.by_function(recorder.calls) for roles, recorder in recorded)
    )


def test_nothing_was_called_that_the_role_does_not_allow(
    recorded: Recorded, roles: Mapping[str, Role]
) -> None:
    missing = [
        f"{function}: {permission}"
        for function, permission in sorted(calls(recorded))
        if not roles[function].allows(permission)
    ]
    assert not missing


def test_nothing_is_allowed_that_nobody_needs(
    recorded: Recorded, roles: Mapping[str, Role], request: pytest.FixtureRequest
) -> None:
    if reason := incomplete(request.session):
        pytest.skip(reason)
    made = calls(recorded)
    unused = {
        (role.function, permission)
        for role in roles.values()
        for permission in role.own
        if not any(
            function == role.function and permission.covers(needed) for function, needed in made
        )
    }
    with_reason = set(chain.from_iterable(UNUSED.values()))
    assert told(unused - with_reason) == []
    assert told(with_reason - unused) == [], "used, or gone: no reason is needed"


def told(permissions: set[tuple[str, Permission]]) -> list[str]:
    return [f"{function}: {permission}" for function, permission in sorted(permissions)]


def incomplete(session: pytest.Session) -> str | None:
    """Why this run does not show what functions need, if it does not."""
    folder = Path(__file__).parent
    left_out = session.config.stash.get(LEFT_OUT, [])
    known = {item.path for item in [*session.items, *left_out]}
    if set(folder.glob("test_*.py")) - known or any(
        item.path.parent == folder and not item.get_closest_marker("fails_on_purpose")
        for item in left_out
    ):
        return "not all end-to-end tests were chosen"
    if any("::" in argument for argument in session.config.args):
        return "single tests were chosen"
    if session.testsfailed:
        return "what failed may not have come to its calls"
    return None
