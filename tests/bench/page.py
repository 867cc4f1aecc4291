"""`docs/costs.md` and its charts, from the kept results alone."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from infra.paths import ROOT
from tests.bench import prices
from tests.bench.budgets import judged
from tests.bench.charts import Bar, Part, chart

DOCUMENT: Final = ROOT / "docs" / "costs.md"
README: Final = ROOT / "README.md"
CHARTS: Final = ROOT / "docs" / "charts"
BEGIN: Final = "<!-- costs: written by `make bench` -->"
END: Final = "<!-- end of costs -->"

Results = Mapping[str, Any]

FLOWS: Final = {
    "accept": "accept alone",
    "replay": "the same request again",
    "happy": "happy card payment",
    "declined": "decline with undo",
    "refund": "refund",
    "wallet_payment": "payment out of a wallet",
    "hold_and_capture": "hold and capture",
}
SPREADS: Final = {
    "happy": "ten payments, one seller, one batch",
    "happy_many_sellers": "ten payments, ten sellers, one batch",
    "happy_in_step": "ten payments in step, batches of 10 records",
    "happy_alone": "batches of 1 record",
}

PAGE: Final = """# What a payment costs

<!-- Written by `make bench` from bench.json; a test compares the two. -->

Every number here is counted from the requests that the deployed functions make: their real handlers
run in one process, walked through the real state machines, and whatever botocore sends passes a
meter on its way to the emulator's tables. Times on AWS cannot be measured so; what is charged by
time rests on assumptions that are [named below](#assumptions). Prices are list prices of {region},
{of}, without free tiers.

{flows}

"Accept alone" and "the same request again" are requests and no whole flows. Transfers and payouts
have no route yet; a payment out of a wallet and a hold show what moving money between wallets
takes.

![Dollars per million, part by part](charts/costs.svg)

## A happy payment, line by line

Dollars per million payments, with {events:g} public events on the bus and {provider_ms} ms for each
call to the provider.

{bill}

Beside the sum, because it depends on settings, caches and listeners:

{beside}

## Beside two published designs

Both are rebuilt small under `tests/bench/reference` and counted by the same meter. AWS's saga
sample has no idempotency, ledger or outbox; the one function has a key and a ledger, no saga, and
nobody hears of its payments. Neither calls a provider.

{reference}

![Ours beside the others](charts/designs.svg)

## What the readers add

How much the readers of the stream write depends on what meets in one batch: a seller's position and
guard are written once for all its lines in a batch, and a payment's view once for all its facts.

{spread}

{stored}

## Budgets

{budgets}

Counted budgets fail `make bench` when they break. Those by the clock were measured on a machine
that was busy with other things, so they are told: {machine}.

## Imports

{imports}

## Assumptions

* A call to the provider takes {provider_ms} ms; a request to DynamoDB {round_trip_ms} ms, a
  transaction {transaction_ms} ms, a request to another service {other_ms} ms, and {call_cpu_ms} ms
  of a small function's share of a core each; an invocation {handler_ms} ms beside that. A state
  machine takes {state_ms} ms from state to state.
* Functions are warm: a cold one reads its tenant, its account and two secrets first.
* A failed write is charged as if it had been one. Write units are as the emulator counts them (and
  `tests/bench/units.py` does, in a test); read units by the sizes of what came back. An index is
  never charged twice for a transaction.
* The authorizer is shown as if the gateway never kept its answer, which it does for minutes.
"""

STORED: Final = """A payment costs the same however many its seller has had: {sizes}.

Until it is captured, no payment writes an item that another one writes. One seller of all payments
and ten sellers, with {share:.0%} of all transactions turned away, took {hot_writes:g} and
{many_writes:g} write units and met {hot_conflicts:g} and {many_conflicts:g} conflicts per payment
on that way. In throughput the many were {ratio:g} times the one; the one compared with itself was
{same:g} times."""


def table(results: Results) -> str:
    """The cost table, as Markdown."""
    rows = []
    for name, title in FLOWS.items():
        one = results["flows"][name]
        rows.append(
            (
                title,
                f"{one['calls'].get('dynamodb', 0):.1f}",
                f"{one['writes']:.1f}",
                f"{one['read_units']:.1f}",
                f"{sum(one['invocations'].values()):.1f}",
                f"{one['transitions']:g}",
                f"{one['bus_entries']:g}",
                f"**{one['dollars']['EXPRESS']:.2f}**",
                f"**{one['dollars']['STANDARD']:.2f}**",
            )
        )
    head = (
        "",
        "requests to DynamoDB",
        "write units",
        "read units",
        "invocations",
        "transitions",
        "events",
        "$ per million, EXPRESS",
        "STANDARD",
    )
    return _markdown(head, rows)


def short(results: Results) -> str:
    """What the README shows."""
    rows = [
        (
            title,
            f"{results['flows'][name]['writes']:.1f}",
            f"{results['flows'][name]['dollars']['EXPRESS']:.2f}",
            f"{results['flows'][name]['dollars']['STANDARD']:.2f}",
        )
        for name, title in FLOWS.items()
        if name not in {"accept", "replay"}
    ]
    saga, plain = results["reference"]["saga"], results["reference"]["plain"]
    rows += [
        (
            "AWS's saga sample: no idempotency, ledger or outbox",
            f"{saga['writes']:.1f}",
            "",
            f"{saga['dollars']:.2f}",
        ),
        (
            "one function, one transaction: no saga, no events",
            f"{plain['writes']:.1f}",
            f"{plain['dollars']:.2f}",
            "",
        ),
    ]
    return _markdown(("", "write units", "$ per million, EXPRESS", "STANDARD"), rows)


def rendered(results: Results) -> str:
    """The page."""
    happy = results["flows"]["happy"]
    return PAGE.format(
        region=results["prices"]["region"],
        of=results["prices"]["of"],
        flows=table(results),
        events=happy["bus_entries"],
        bill=_bill(happy),
        beside=_beside(happy),
        reference=_reference(results),
        spread=_spread(results),
        stored=_stored(results),
        budgets=_budgets(results),
        machine=_machine(results),
        imports=_imports(results),
        provider_ms=prices.PROVIDER_MS,
        round_trip_ms=prices.ROUND_TRIP_MS,
        transaction_ms=prices.TRANSACTION_MS,
        other_ms=prices.OTHER_MS,
        call_cpu_ms=prices.CALL_CPU_MS,
        handler_ms=prices.HANDLER_MS,
        state_ms=prices.STATE_MS,
    )


def charts(results: Results) -> Mapping[str, str]:
    """The charts by their file names."""
    flows = [
        Bar(title, _parts(results["flows"][name]["bills"]["EXPRESS"]))
        for name, title in FLOWS.items()
    ]
    happy = results["flows"]["happy"]
    designs = [
        Bar("one function, one transaction", _grouped(results["reference"]["plain"]["bill"])),
        Bar("ours, EXPRESS", _parts(happy["bills"]["EXPRESS"])),
        Bar("ours, STANDARD", _parts(happy["bills"]["STANDARD"])),
        Bar("AWS's saga sample", _grouped(results["reference"]["saga"]["bill"])),
    ]
    return {
        "costs.svg": chart("Dollars per million on EXPRESS machines", flows),
        "designs.svg": chart("Dollars per million payments", designs),
    }


def write(results: Results) -> None:
    """Write page, charts and the README's table."""
    DOCUMENT.write_text(rendered(results), encoding="utf-8")
    CHARTS.mkdir(exist_ok=True)
    for name, drawn in charts(results).items():
        (CHARTS / name).write_text(drawn, encoding="utf-8")
    README.write_text(in_readme(README.read_text(encoding="utf-8"), results), encoding="utf-8")


def in_readme(text: str, results: Results) -> str:
    """The README with the table between its marks."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{short(results)}\n{END}{after}"


PARTS: Final = {
    "API requests": "API",
    "Lambda invocations": "Lambda",
    "Lambda time": "Lambda",
    "Step Functions transitions": "Step Functions",
    "Step Functions requests": "Step Functions",
    "Step Functions time": "Step Functions",
    "DynamoDB writes": "DynamoDB",
    "DynamoDB reads": "DynamoDB",
    "EventBridge": "messages",
    "message": "messages",
}


def _parts(bill: Mapping[str, Any]) -> tuple[Part, ...]:
    return _grouped({name: line["dollars"] for name, line in bill.items()})


def _grouped(bill: Mapping[str, float]) -> tuple[Part, ...]:
    sums = dict.fromkeys(PARTS.values(), 0.0)
    for name, dollars in bill.items():
        sums[PARTS[name]] += dollars
    return tuple(Part(name, dollars) for name, dollars in sums.items())


def _bill(happy: Results) -> str:
    express, standard = happy["bills"]["EXPRESS"], happy["bills"]["STANDARD"]
    rows = []
    for name in dict.fromkeys([*express, *standard]):
        line = express.get(name) or standard[name]
        rows.append(
            (
                name,
                f"{line['quantity']:.3g} {line['unit']}",
                f"{line['price']:g}",
                *(
                    f"{bill[name]['dollars']:.2f}" if name in bill else ""
                    for bill in (express, standard)
                ),
            )
        )
    sums = (f"**{happy['dollars'][machine]:.2f}**" for machine in ("EXPRESS", "STANDARD"))
    rows.append(("**sum**", "", "", *sums))
    return _markdown(("", "per payment", "$ per million of them", "EXPRESS", "STANDARD"), rows)


def _beside(happy: Results) -> str:
    rows = [(name, f"{line['dollars']:.2f}") for name, line in happy["beside"].items()]
    return _markdown(("", "$ per million"), rows)


def _reference(results: Results) -> str:
    rows = [
        (
            one["name"],
            f"{one['writes']:g}",
            f"{one['invocations']:g}",
            f"{one['transitions']:g}",
            f"**{one['dollars']:.2f}**",
        )
        for one in results["reference"].values()
    ]
    happy = results["flows"]["happy"]
    rows += [
        (
            f"ours, {machine}",
            f"{happy['writes']:.1f}",
            f"{sum(happy['invocations'].values()):.1f}",
            f"{happy['transitions']:g}",
            f"**{happy['dollars'][machine]:.2f}**",
        )
        for machine in ("EXPRESS", "STANDARD")
    ]
    return _markdown(("", "write units", "invocations", "transitions", "$ per million"), rows)


def _spread(results: Results) -> str:
    rows = []
    for name, title in SPREADS.items():
        one = results["flows"][name]
        views = sum(units for table, units in one["write_units"].items() if "Views" in table)
        accounts = sum(units for table, units in one["write_units"].items() if "Accounts" in table)
        rows.append(
            (
                title,
                f"**{one['writes']:.1f}**",
                f"{one['writes'] - views - accounts:.1f}",
                f"{views:.1f}",
                f"{accounts:.1f}",
                f"{one['dollars']['EXPRESS']:.2f}",
            )
        )
    head = (
        "",
        "write units",
        "facts and key",
        "view and indexes",
        "lines and balances",
        "$ EXPRESS",
    )
    return _markdown(head, rows)


def _stored(results: Results) -> str:
    hot, many = results["hot"]["hot"], results["hot"]["many"]
    sizes = ", ".join(
        f"{one['writes']:.2f} write units and {one['dollars']['EXPRESS']:.2f} dollars "
        f"with {int(size):,} stored"
        for size, one in results["stored"].items()
    )
    return STORED.format(
        sizes=sizes,
        share=results["hot"]["conflicts_injected"],
        hot_writes=hot["writes_until_captured"],
        many_writes=many["writes_until_captured"],
        hot_conflicts=hot["conflicts_until_captured"],
        many_conflicts=many["conflicts_until_captured"],
        ratio=results["hot"]["throughput_ratio"],
        same=results["hot"]["same_twice_ratio"],
    )


def _budgets(results: Results) -> str:
    rows = [
        (
            budget.what,
            f"{'≥' if budget.least else '≤'} {budget.limit:g}",
            f"{value:.4g}",
            "met" if met else "**broken**" if budget.counted else "missed",
            "counted" if budget.counted else "by the clock",
        )
        for budget, value, met in judged(results)
    ]
    return _markdown(("", "budget", "measured", "", ""), rows)


def _machine(results: Results) -> str:
    where = results["machine"]
    libraries = ", ".join(f"{name} {number}" for name, number in where["libraries"].items())
    return (
        f"{where['system']}, {where['cores']} cores, load {where['load']}, "
        f"Python {where['python']}, {libraries}, {where['at']}"
    )


def _imports(results: Results) -> str:
    rows = [
        (
            f"`{name}`" if "." in name else name,
            f"{one['cpu_ms']:.0f}",
            f"{one['ratio']:.2f}",
            str(one["modules"]),
        )
        for name, one in results["imports"].items()
    ]
    return _markdown(("", "ms of CPU", "ratio", "modules"), rows)


def _markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---", *("---:" for _ in head[1:])], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
