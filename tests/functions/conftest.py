"""Fixtures for the tests of functions."""

from collections.abc import Iterator

import pytest

from florin.edge import wiring


def forget_wiring() -> None:
    for made in vars(wiring).values():
        if hasattr(made, "cache_clear"):
            made.cache_clear()


@pytest.fixture
def fresh_wiring() -> Iterator[None]:
    """Ports that are made from the test's own environment, and forgotten after it."""
    forget_wiring()
    yield
    forget_wiring()
