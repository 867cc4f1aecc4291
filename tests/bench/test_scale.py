"""Scale on paper: the model of partitions, and the page."""

import json
from typing import Any

import pytest

from tests.bench import scale
from tests.bench.__main__ import RESULTS
from tests.bench.scale import (
    BALANCE_ON_PATH,
    CREDITS_FOLLOW,
    LINE_BY_LINE,
    PARTITION_WRITES,
    Outcome,
    Rule,
    simulated,
)


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    kept: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))
    return kept


def test_the_page_is_what_the_results_say(results: dict[str, Any]) -> None:
    assert scale.DOCUMENT.read_text(encoding="utf-8") == scale.rendered(results), "run `make bench`"


def _hot(rule: Rule, payments_per_s: int = 2_000) -> Outcome:
    return simulated(rule, payments_per_s=payments_per_s, merchants=100, hot_share=0.9, seconds=10)


def test_a_balance_on_the_path_limits_a_hot_merchant_to_its_partition() -> None:
    came = _hot(BALANCE_ON_PATH)
    assert came.hot == PARTITION_WRITES / 2
    assert came.others == pytest.approx(200, rel=0.05)


@pytest.mark.parametrize("rule", [CREDITS_FOLLOW, LINE_BY_LINE])
def test_where_credits_follow_every_payment_is_captured(rule: Rule) -> None:
    came = _hot(rule)
    assert came.hot + came.others == 2_000
    assert came.hot == pytest.approx(1_800, rel=0.02)


def test_batches_keep_a_balance_up_to_date_that_single_lines_do_not() -> None:
    assert CREDITS_FOLLOW.follows_per_s == 1_000 * 45 // 94
    assert LINE_BY_LINE.follows_per_s == 1_000 // 6
    assert _hot(CREDITS_FOLLOW, 500).behind_s == 0
    assert _hot(LINE_BY_LINE, 500).behind_s > 10


def test_twice_the_payments_need_twice_as_much(results: dict[str, Any]) -> None:
    once, twice = scale.needs(results, 1_000), scale.needs(results, 2_000)
    assert [need.needed * 2 for need in once] == pytest.approx([need.needed for need in twice])
    assert scale.dollars_an_hour(results, 1_000, "EXPRESS") == pytest.approx(
        results["flows"]["happy"]["dollars"]["EXPRESS"] * 3.6
    )


def test_what_is_most_over_its_quota_breaks_first(results: dict[str, Any]) -> None:
    assert scale.first_to_break(results, 1_000, "STANDARD").startswith("transitions")
    assert scale.first_to_break(results, 1_000_000, "EXPRESS") != ""
