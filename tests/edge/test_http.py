"""Refusals as HTTP tells them. `python -O` drops the assertions in the module, so: again here."""

import pytest

from florin.domain.refusals import Refusal
from florin.edge.http import ERROR_TYPES, STATUS, ErrorType, refusal_answer, response
from florin.handle import Refused


def test_every_refusal_has_a_status_and_a_type() -> None:
    assert STATUS.keys() == set(Refusal)
    assert ERROR_TYPES.keys() == set(STATUS.values())
    assert set(ERROR_TYPES.values()) == set(ErrorType)


@pytest.mark.parametrize("refusal", Refusal)
def test_a_refusal_says_when_to_come_again_if_it_says_so_by_status(refusal: Refusal) -> None:
    answer = response(refusal_answer(Refused(refusal=refusal), "r-1"), "r-1")
    assert answer["statusCode"] == STATUS[refusal]
    assert ("Retry-After" in answer["headers"]) == (answer["statusCode"] in {429, 503})
    assert answer["headers"]["X-Request-Id"] == "r-1"


def test_a_server_error_is_transient_and_a_client_error_is_not_unless_it_waits() -> None:
    for refusal in Refusal:
        if STATUS[refusal] >= 500 or STATUS[refusal] == 429:
            assert refusal.transient, refusal
        elif STATUS[refusal] not in {402, 409}:
            assert not refusal.transient, refusal
