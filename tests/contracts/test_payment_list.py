"""What every keeper of the books promises of its list of payments.

On AWS an index follows its table after a moment; where these tests run it does so at once.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from florin.adapters.clock import UlidIds
from florin.domain.money import Money
from florin.ports import Advance, Page, PaymentQuery, PaymentSummary, View
from tests.contracts.conftest import Store
from tests.support.examples import NOON, TENANT

OTHER_TENANT: Final = "tn_venice"
ACCOUNTS: Final = ("acct_silk", "acct_wool", "acct_nobody")
ORDERS: Final = ("order-1", "order-1#2", "order-9")
STATUSES: Final = ("processing", "succeeded", "failed", "refunded")
STEP: Final = timedelta(milliseconds=1)


def payment(made: datetime = NOON, **fields: str | None) -> View:
    view = View(
        stream=UlidIds().new("pay", made),
        tenant_id=TENANT,
        kind="payment",
        status="processing",
        version=2,
        created_at=made,
        updated_at=made + STEP,
        recipient="acct_silk",
        payment=PaymentSummary(amount=Money(1_000, "EUR")),
    )
    return replace(view, **fields)  # type: ignore[arg-type]  # names of texts


def put(store: Store, view: View, start: int = 0) -> View:
    assert store.advance([Advance(view=view, from_version=start)])
    return view


def listed(store: Store, query: PaymentQuery) -> list[View]:
    """All that a query finds, page by page."""
    found: list[View] = []
    while True:
        page = store.payments(query)
        assert isinstance(page, Page), page
        assert len(page.views) <= query.limit
        found += page.views
        if not page.has_more:
            return found
        query = replace(query, starting_after=page.views[-1].stream)


def market() -> list[View]:
    """Two dozen payments of every kind, several in each millisecond, of two tenants."""
    return [
        payment(
            NOON + number // 3 * STEP,
            tenant_id=OTHER_TENANT if number % 5 == 4 else TENANT,
            status=STATUSES[number % 4],
            recipient=ACCOUNTS[number % 2],
            payer=(None, "acct_wool", "acct_silk")[number % 3],
            order_id=(None, "order-1", "order-1#2")[number // 4 % 3],
        )
        for number in range(24)
    ]


def wanted(views: Sequence[View], query: PaymentQuery) -> list[View]:
    """What a query should find, said once more and without any index."""
    kept = [view for view in views if view.tenant_id == query.tenant_id]
    if query.status:
        kept = [view for view in kept if view.status == query.status]
    if query.account:
        kept = [view for view in kept if query.account in (view.recipient, view.payer)]
    if query.order_id:
        kept = [view for view in kept if view.order_id == query.order_id]
    if query.since:
        kept = [view for view in kept if not view.created_at < query.since]
    if query.until:
        kept = [view for view in kept if not view.created_at >= query.until]
    if query.starting_after:
        kept = [view for view in kept if not view.stream >= query.starting_after]
    return sorted(kept, key=lambda view: view.stream, reverse=True)


moments = st.none() | st.integers(-2, 10).map(lambda number: NOON + number * STEP)
queries = st.builds(
    PaymentQuery,
    tenant_id=st.sampled_from([TENANT, OTHER_TENANT, "tn_nobody"]),
    limit=st.sampled_from([1, 2, 3, 7, 100]),
    status=st.none() | st.sampled_from(STATUSES),
    account=st.none() | st.sampled_from(ACCOUNTS),
    order_id=st.none() | st.sampled_from(ORDERS),
    since=moments,
    until=moments,
)


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(asked=queries, after=st.none() | st.integers(0, 23))
def test_paging_tells_what_is_asked_for_newest_first_and_once(
    store_of_market: tuple[Store, Sequence[View]], asked: PaymentQuery, after: int | None
) -> None:
    store, views = store_of_market
    starting_after = None if after is None else views[after].stream
    query = replace(asked, starting_after=starting_after)
    assert listed(store, query) == wanted(views, query)


@pytest.fixture
def store_of_market(store: Store) -> tuple[Store, Sequence[View]]:
    """Nothing that a query does changes it, so all examples of a property share one."""
    views = market()
    for view in views:
        put(store, view)
    put(store, account())
    return store, views


def account() -> View:
    """The view of a stream that is no payment."""
    return View(
        stream=UlidIds().new("acct", NOON),
        tenant_id=TENANT,
        kind="account",
        status="processing",
        version=1,
        created_at=NOON,
        updated_at=NOON,
    )


def test_a_payment_is_told_as_its_view_is(store: Store) -> None:
    view = payment(payer="acct_wool", order_id="order-1")
    full = replace(
        view,
        payment=PaymentSummary(
            amount=Money(1_000, "JPY"),
            captured_minor=900,
            refunded_minor=40,
            fee_minor=0,
            description="Twelve ells of silk",
        ),
    )
    put(store, full)
    assert store.view(full.stream) == full
    assert listed(store, PaymentQuery(tenant_id=TENANT, limit=1)) == [full]


def test_a_payment_is_found_by_the_status_that_it_has_now(store: Store) -> None:
    view = put(store, payment())
    by = PaymentQuery(tenant_id=TENANT, limit=10)
    for version, status in enumerate(("authorized", "succeeded", "refunded"), start=2):
        moved = replace(view, status=status, version=version + 1)
        put(store, moved, start=version)
        assert listed(store, replace(by, status=status)) == [moved]
        assert listed(store, replace(by, status=view.status)) == []
        view = moved


def test_who_pays_himself_is_told_once(store: Store) -> None:
    view = put(store, payment(payer="acct_silk"))
    assert listed(store, PaymentQuery(tenant_id=TENANT, limit=1, account="acct_silk")) == [view]


def test_more_payments_than_are_read_at_once(store: Store) -> None:
    views = [put(store, payment(NOON + number * STEP)) for number in range(105)]
    assert listed(store, PaymentQuery(tenant_id=TENANT, limit=100)) == views[::-1]


def test_where_a_page_ended_need_not_be_a_payment_of_the_tenant(store: Store) -> None:
    old, new = put(store, payment(NOON)), put(store, payment(NOON + 2 * STEP))
    foreign = put(store, payment(NOON + STEP, tenant_id=OTHER_TENANT))
    by = PaymentQuery(tenant_id=TENANT, limit=10)
    assert listed(store, replace(by, starting_after=foreign.stream)) == [old]
    assert listed(store, replace(by, starting_after=f"pay_{'0' * 26}")) == []
    assert listed(store, replace(by, starting_after=f"pay_{'Z' * 26}")) == [new, old]
