"""Searching by indexes: what is found, and how much of the table is asked for it."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from florin.adapters import ulid
from florin.adapters.search import IDS_AT_ONCE, VIEWS_AT_ONCE, Index, keys_of, search
from florin.domain.money import Money
from florin.ports import Page, PaymentQuery, PaymentSummary, SearchTooBroad, View
from tests.support.examples import NOON, TENANT

ALL = PaymentQuery(tenant_id=TENANT, limit=10)


def payment(second: int, status: str = "succeeded", recipient: str = "acct_silk") -> View:
    """A payment that was made so many seconds after noon."""
    made = NOON + timedelta(seconds=second)
    return View(
        stream=f"pay_{ulid.text_of(ulid.value_at(made, 7))}",
        tenant_id=TENANT,
        kind="payment",
        status=status,
        version=1,
        created_at=made,
        updated_at=made,
        recipient=recipient,
        payment=PaymentSummary(amount=Money(1_000, "EUR")),
    )


class Table:
    """Views and their indexes, with a count of what was asked of them."""

    def __init__(self, views: Sequence[View]) -> None:
        self.views = {view.stream: view for view in views}
        self.indexes: dict[tuple[Index, str], list[str]] = {}
        for view in views:
            for index, key in keys_of(view).items():
                self.indexes.setdefault((index, key), []).append(view.stream)
        self.ids_read = self.views_read = self.reads = 0

    def ids(self, index: Index, key: str, between: tuple[str, str], limit: int) -> list[str]:
        streams = sorted(self.indexes.get((index, key), []))
        first, end = bisect_left(streams, between[0]), bisect_right(streams, between[1])
        page = streams[first:end][::-1][:limit]
        self.ids_read += len(page)
        self.reads += 1
        return page

    def get(self, streams: Sequence[str]) -> list[View]:
        assert 0 < len(streams) <= VIEWS_AT_ONCE
        assert len(set(streams)) == len(streams)
        self.views_read += len(streams)
        self.reads += 1
        return [self.views[stream] for stream in sorted(streams) if stream in self.views]

    def search(self, query: PaymentQuery, reads_max: int = 100) -> Page | SearchTooBroad:
        return search(query, self.ids, self.get, reads_max)


def page(found: Page | SearchTooBroad) -> Page:
    assert isinstance(found, Page), found
    return found


def many(count: int, view: Callable[[int], View] = payment) -> list[View]:
    """Payments a second apart, the newest first."""
    return [view(second) for second in range(count)][::-1]


def test_a_page_reads_no_more_than_it_tells_and_one_to_know_whether_there_are_more() -> None:
    views = many(1_000)
    table = Table(views)
    assert page(table.search(ALL)) == Page(tuple(views[:10]), has_more=True)
    assert (table.ids_read, table.views_read, table.reads) == (11, 11, 2)


def test_a_long_page_needs_one_view_more_than_go_at_once() -> None:
    views = many(1_000)
    table = Table(views)
    assert page(table.search(replace(ALL, limit=100))) == Page(tuple(views[:100]), has_more=True)
    assert table.views_read == 101


@pytest.mark.parametrize("limit", [1, 4, 5, 6])
def test_the_last_page_says_so(limit: int) -> None:
    found = page(Table(many(5)).search(replace(ALL, limit=limit)))
    assert (len(found.views), found.has_more) == (min(limit, 5), limit < 5)


def test_a_rare_status_of_a_busy_account_is_found_without_reading_the_account_through() -> None:
    def view(second: int) -> View:
        return payment(second, "failed" if second % 4_000 == 0 else "succeeded")

    views = many(20_000, view)
    table = Table(views)
    found = page(table.search(replace(ALL, account="acct_silk", status="failed")))
    assert [view.status for view in found.views] == ["failed"] * 5
    assert not found.has_more
    assert table.reads < 20
    assert table.ids_read < 6 * IDS_AT_ONCE


def test_a_small_account_is_found_among_many_payments_of_its_status() -> None:
    views = many(20_000, lambda second: payment(second, "failed", f"acct_{second % 5_000}"))
    table = Table(views)
    found = page(table.search(replace(ALL, account="acct_77", status="failed")))
    assert [view.recipient for view in found.views] == ["acct_77"] * 4
    assert table.reads < 20


def test_an_index_that_is_behind_does_not_tell_what_was() -> None:
    views = many(3, lambda second: payment(second, "failed"))
    table = Table(views)
    moved = replace(views[1], status="succeeded")
    table.views[moved.stream] = moved
    del table.views[views[2].stream]
    found = page(table.search(replace(ALL, status="failed")))
    assert found == Page((views[0],), has_more=False)


def test_what_is_looked_for_in_vain_is_too_broad_instead_of_an_empty_page() -> None:
    views = many(2_000, lambda second: payment(second, "failed" if second else "succeeded"))
    table = Table(views)
    wanted = replace(ALL, status="succeeded")
    assert table.search(wanted, reads_max=10) == SearchTooBroad()
    assert table.reads == 10
    narrower = replace(wanted, until=NOON + timedelta(seconds=500))
    assert table.search(narrower, reads_max=10) == Page((views[-1],), has_more=False)


def test_a_page_that_became_too_much_work_ends_where_the_next_one_goes_on() -> None:
    good = {900, 1_500}
    views = many(2_000, lambda second: payment(second, "succeeded" if second in good else "failed"))
    wanted = replace(ALL, status="succeeded")
    first = page(Table(views).search(wanted, reads_max=10))
    assert first == Page((views[499],), has_more=True)
    after = replace(wanted, starting_after=first.views[-1].stream)
    second = page(Table(views).search(after, reads_max=12))
    assert second == Page((views[1_099],), has_more=True)


def test_a_span_without_time_asks_for_nothing() -> None:
    table = Table(many(5))
    assert page(table.search(replace(ALL, since=NOON, until=NOON))) == Page((), has_more=False)
    assert table.reads == 0


def test_a_payment_at_rest_is_in_no_index_that_follows_it() -> None:
    payer = replace(payment(1), payer="acct_buyer", order_id="order-12")
    assert keys_of(payer) == {
        Index.TENANT: TENANT,
        Index.RECIPIENT: f"{TENANT}#acct_silk",
        Index.PAYER: f"{TENANT}#acct_buyer",
        Index.ORDER: f"{TENANT}#order-12",
    }
    assert keys_of(payment(1, "failed")) == {
        Index.TENANT: TENANT,
        Index.RECIPIENT: f"{TENANT}#acct_silk",
        Index.STATUS: f"{TENANT}#failed",
    }
