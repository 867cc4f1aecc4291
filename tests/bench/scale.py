"""Scale on paper: what so many payments a second take, from the measured counts; and a small model
of partitions.

A partition of DynamoDB does 1,000 write units a second, and an item is in one partition whatever
the table can do. The model gives every second's writes to their items and lets each item do what
its partition can; what it cannot waits for the next second.
"""

import random
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, Final

from infra.paths import ROOT
from tests.bench import prices
from tests.bench.stack import memory_mb

DOCUMENT: Final = ROOT / "docs" / "scale.md"
RATES: Final = (1_000, 10_000, 1_000_000)
PARTITION_WRITES: Final = 1_000
"""Write units a second that one partition takes, and so one item."""
TABLE_WRITES: Final = 40_000
STARTS: Final = {"STANDARD": 300, "EXPRESS": 6_000}
TRANSITIONS: Final = 1_500
CONCURRENT: Final = 1_000
BUS_ENTRIES: Final = 10_000
REQUESTS: Final = 10_000
CELL: Final = 10_000
"""Payments a second that one cell takes: an account of AWS with raised quotas, and a part of the
tenants."""

ROOM: Final = 1.5
"""So many times what is needed a quota should be."""
CELLS_FROM: Final = 50
"""So many times its first value nobody raises a quota."""

Results = Mapping[str, Any]


# The model of partitions.


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How the writes of a payment fall on its merchant's items, in units.

    `on_path` have to be written on one of them before the payment is captured. Afterwards each
    payment takes `each` for its statement line, and so many of them at a time `together` for
    position and guard.
    """

    name: str
    on_path: int = 0
    each: int = 0
    together: int = 0
    batch: int = 1

    @property
    def follows_per_s(self) -> int:
        """How many payments a second reach the balance of one merchant, by one partition."""
        units = self.together + self.each * self.batch
        return PARTITION_WRITES * self.batch // units if units else PARTITION_WRITES // self.on_path


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of it: payments captured a second, of those that the hot merchant was asked for and
    of all others, and how many seconds of work its balance was behind at the end.
    """

    hot: float
    others: float
    behind_s: float


BALANCE_ON_PATH: Final = Rule(name="each payment adds to its merchant's balance", on_path=2)
LINE_BY_LINE: Final = Rule(name="credits follow by the stream, one by one", each=2, together=4)
CREDITS_FOLLOW: Final = Rule(
    name="credits follow by the stream, in batches (ours)", each=2, together=4, batch=45
)
RULES: Final = (BALANCE_ON_PATH, LINE_BY_LINE, CREDITS_FOLLOW)


def simulated(
    rule: Rule,
    *,
    payments_per_s: int,
    merchants: int,
    hot_share: float,
    seconds: int,
    seed: int = 1,
) -> Outcome:
    """Some seconds of payments, of which one merchant gets a share and the others get the rest."""
    dice = random.Random(seed)  # noqa: S311  # no secret
    waiting: Counter[int] = Counter()
    behind: Counter[int] = Counter()
    hot = others = 0
    for _ in range(seconds):
        asked = Counter(
            0 if dice.random() < hot_share else dice.randrange(1, merchants)
            for _ in range(payments_per_s)
        )
        for merchant, payments in asked.items():
            # A client that is told to come again later does so.
            waiting[merchant] += payments
        for merchant in list(waiting):
            most = PARTITION_WRITES // rule.on_path if rule.on_path else waiting[merchant]
            done = min(waiting[merchant], most)
            waiting[merchant] -= done
            behind[merchant] += done
            hot += done if merchant == 0 else 0
            others += done if merchant else 0
            behind[merchant] = max(0, behind[merchant] - rule.follows_per_s)
    return Outcome(
        hot=hot / seconds,
        others=others / seconds,
        behind_s=0.0 if rule.on_path else behind[0] / rule.follows_per_s,
    )


# On paper.


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """Something that a rate of payments takes, and what an account of AWS has of it at first."""

    what: str
    needed: float
    quota: float | None

    @property
    def times(self) -> float | None:
        """How many times the quota it is."""
        return None if self.quota is None else self.needed / self.quota


def needs(results: Results, payments_per_s: int) -> Sequence[Need]:
    """What so many happy payments a second take."""
    happy = results["flows"]["happy"]
    writes = _by_table(happy["write_units"])
    largest = max(writes, key=lambda table: writes[table])
    # Each payment keeps a function busy for so many seconds.
    concurrent = sum(gb_s * 1024 / memory_mb(function) for function, gb_s in happy["gb_s"].items())
    return (
        Need(what="requests to the API", needed=payments_per_s, quota=REQUESTS),
        Need(
            what=f"write units a second on {largest}",
            needed=payments_per_s * writes[largest],
            quota=TABLE_WRITES,
        ),
        Need(
            what="write units a second in all", needed=payments_per_s * happy["writes"], quota=None
        ),
        Need(
            what="functions running at a time", needed=payments_per_s * concurrent, quota=CONCURRENT
        ),
        Need(
            what="executions started a second, EXPRESS",
            needed=payments_per_s,
            quota=STARTS["EXPRESS"],
        ),
        Need(
            what="executions started a second, STANDARD",
            needed=payments_per_s,
            quota=STARTS["STANDARD"],
        ),
        Need(
            what="transitions a second, STANDARD",
            needed=payments_per_s * happy["transitions"],
            quota=TRANSITIONS,
        ),
        Need(
            what="events on the bus a second",
            needed=payments_per_s * happy["bus_entries"],
            quota=BUS_ENTRIES,
        ),
    )


def _by_table(units: Mapping[str, float]) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, cost in units.items():
        table = name.partition("/")[0].partition("-")[0]
        found[table] = found.get(table, 0.0) + cost
    return found


def partitions(results: Results, payments_per_s: int) -> dict[str, int]:
    """How many partitions each table has at least, by its writes."""
    units = _by_table(results["flows"]["happy"]["write_units"])
    return {
        table: ceil(payments_per_s * cost / PARTITION_WRITES)
        for table, cost in sorted(units.items())
    }


def dollars_an_hour(results: Results, payments_per_s: int, machine: str) -> float:
    return float(results["flows"]["happy"]["dollars"][machine]) * payments_per_s * 3600 / 1e6


def first_to_break(results: Results, payments_per_s: int, machine: str) -> str:
    """The quota that is exceeded most, on this type of machine."""
    other = "STANDARD" if machine == "EXPRESS" else "EXPRESS"
    limited = [
        need for need in needs(results, payments_per_s) if need.times and other not in need.what
    ]
    return max(limited, key=lambda need: need.times or 0).what


def rendered(results: Results) -> str:
    """The page."""
    return PAGE.format(
        rates=_rates(results),
        needs="\n\n".join(_section(results, rate) for rate in RATES),
        model=_model(),
        cells=ceil(max(RATES) / CELL),
        cell=CELL,
        transactions=PARTITION_WRITES // 2,
        follow=CREDITS_FOLLOW.follows_per_s,
        dynamodb=_dynamodb_a_second(results),
    )


def _dynamodb_a_second(results: Results) -> float:
    writes: float = results["flows"]["happy"]["writes"]
    return writes * prices.WRITE_UNIT * max(RATES) / 1e6


def _rates(results: Results) -> str:
    rows = [
        (
            f"{rate:,}/s",
            f"{dollars_an_hour(results, rate, 'EXPRESS'):,.0f}",
            f"{dollars_an_hour(results, rate, 'STANDARD'):,.0f}",
            f"{sum(partitions(results, rate).values()):,}",
            first_to_break(results, rate, "EXPRESS"),
        )
        for rate in RATES
    ]
    head = (
        "",
        "$ an hour, EXPRESS",
        "$ an hour, STANDARD",
        "partitions, at least",
        "most over its quota",
    )
    return _markdown(head, rows)


def _section(results: Results, rate: int) -> str:
    rows = [
        (
            need.what,
            f"{need.needed:,.0f}",
            "" if need.quota is None else f"{need.quota:,.0f}",
            _advice(need),
        )
        for need in needs(results, rate)
    ]
    tables = ", ".join(f"{table} {count:,}" for table, count in partitions(results, rate).items())
    return (
        f"### {rate:,} payments a second\n\n"
        + _markdown(("", "needed", "quota at first", ""), rows)
        + f"\n\nPartitions, at least: {tables}."
    )


def _advice(need: Need) -> str:
    if need.times is None:
        return ""
    if need.times * ROOM <= 1:
        return "fits"
    return (
        f"raise to {need.needed * ROOM:,.0f}"
        if need.times <= CELLS_FROM
        else f"{need.times:,.0f} times: cells"
    )


def _model() -> str:
    rows = []
    for payments_per_s, share in ((1_000, 0.3), (10_000, 0.3), (10_000, 0.9)):
        for rule in RULES:
            came = simulated(
                rule,
                payments_per_s=payments_per_s,
                merchants=1_000,
                hot_share=share,
                seconds=20,
            )
            rows.append(
                (
                    f"{payments_per_s:,}/s, {share:.0%} of one merchant",
                    rule.name,
                    f"{came.hot:,.0f} of {payments_per_s * share:,.0f}",
                    f"{came.others:,.0f} of {payments_per_s * (1 - share):,.0f}",
                    f"{came.behind_s:,.0f} s",
                )
            )
    head = ("", "rule", "hot merchant's captured", "others'", "its balance is behind after 20 s")
    return _markdown(head, rows)


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines: Iterator[Sequence[str]] = iter([head, ["---"] * len(head), *rows])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


PAGE: Final = """# Scale, on paper

<!-- Written by `make bench` from bench.json; a test compares the two. -->

Nobody has run this at a million payments a second. These pages multiply: the counts of one happy
card payment ([what it costs](costs.md)) by a rate, beside the limits that AWS publishes for an
account in us-east-1 before anything is raised.

{rates}

{needs}

## What breaks first

* **Step Functions, if it is STANDARD.** It starts 300 executions a second, and every payment is an
  execution of six transitions. EXPRESS starts 6,000 and counts no transitions: above some hundred
  payments a second set `SagaType` to it.
* **The write quota of one table**, 40,000 units, which a form raises. On-demand tables also begin
  with 4,000 a second and double within half an hour, so a launch is announced to them (warm
  throughput) and not only to customers.
* **One key of an index.** All payments of a tenant enter `by_tenant` under one key, and those of a
  merchant `by_recipient` under another: a partition takes 1,000 of them a second. Above that the
  projector falls behind; accepting and capturing notice nothing of it. A tenant of that size is
  spread over several tenants, or the key gets a shard.
* **One merchant's guard, for debits.** What is taken from a wallet is a conditional write of one
  item in a transaction: at most {transactions:,} a second on paper, and 50 to 100 where
  transactions meet. Refunds, holds and payments *out of* one wallet have this limit. A payer with
  more of them draws on several balances.
* **Never: one merchant's pay-ins.** A pay-in writes no item of its merchant until it is captured;
  see the model.

## A hot merchant, with our rule and without

A small model (`python -m tests.bench.scale`): a second's payments fall on 1,000 merchants, one of
them hot; an item takes 1,000 write units a second; a client that is turned away comes again.

{model}

Where each payment adds to its merchant's balance, a partition's limit is a limit of sales, and
customers wait. With our rule they never do: the merchant's credits follow by the stream, up to 45
lines with one write of position and guard, about {follow:,} a second as long as a wallet is in one
partition. If more come, its balance is late, and catches up at night.

## Cells and regions

A cell is a whole stack in an account of its own, with a part of the tenants: at {cell:,} payments a
second for each, a million takes {cells:,} of them. They share nothing, so what breaks in one stays
there, and a router in front knows one thing: whose key is in which cell. A wallet never crosses
cells; money between tenants of two cells is a payout and a pay-in.

A region is a place for cells. A cell has one home region; its tables are backed up elsewhere
(point-in-time recovery, copies of exports), and a second region takes over by restoring, with the
minutes that this takes. Tables that replicate to several regions and are written in all of them
would let two regions spend one guard; that is why there are none.

At a million payments a second DynamoDB's writes alone cost {dynamodb:,.2f} dollars *a second*.
"""


def write(results: Results) -> None:
    """Write the page."""
    DOCUMENT.write_text(rendered(results), encoding="utf-8")


if __name__ == "__main__":
    sys.stdout.write(_model() + "\n")
