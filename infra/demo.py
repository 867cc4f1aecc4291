"""`make demo`: a payment, its refund and a decline on a fresh stack, told hop by hop and checked.

Everything shown comes over HTTP or from the provider simulator's own books. The exit status is 0
only if every check at the end of a story was true.
"""

import sys
import time
from dataclasses import dataclass, field

from infra.client import Client, Json
from infra.local import Stack, running_stack
from infra.simulator_books import simulator_books

AMOUNT = 10_000
NET = 9_700
REFUND = 4_000
NET_LEFT = 5_820


@dataclass
class Story:
    """What is told, and which of its claims were true."""

    failed: list[str] = field(default_factory=list)
    started_s: float = field(default_factory=time.monotonic)

    def title(self, text: str) -> None:
        print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}")
        print("─" * len(text))

    def tell(self, text: str) -> None:
        print(f"  {text}")

    def check(self, claim: str, true: bool) -> None:
        print(f"  {'✓' if true else '✗'} {claim}")
        if not true:
            self.failed.append(claim)


def main() -> int:
    """Run the demo; 0 if everything it claims was true."""
    story = Story()
    print("Florin: a card payment on the real template, on your machine.")
    print("Starting the embedded AWS stack and deploying template.yaml …")
    with running_stack() as stack:
        seconds = time.monotonic() - story.started_s
        print(f"Deployed in {seconds:.1f} s: API {stack.api_url}")
        client = Client.of(stack)
        seller = client.seller()
        payment_id = paid(story, stack, client, seller)
        refunded(story, stack, client, seller, payment_id)
        declined(story, stack, client, seller)
    story.title("Result")
    if story.failed:
        print(f"  {len(story.failed)} claims were not true:")
        for claim in story.failed:
            print(f"  ✗ {claim}")
        return 1
    print(f"  Everything above was true, in {time.monotonic() - story.started_s:.0f} s.")
    return 0


def paid(story: Story, stack: Stack, client: Client, seller: str) -> str:
    """A payment that succeeds, down to the seller's balance; its id."""
    story.title("A payment of 100.00 EUR with tok_visa")
    body = {
        "amount": AMOUNT,
        "currency": "EUR",
        "payment_method": "tok_visa",
        "recipient": seller,
        "description": "Twelve ells of silk",
    }
    first = client.post("/payments", body, key="demo-silk")
    again = client.post("/payments", body, key="demo-silk")
    payment_id: str = first.body["payment_id"]
    story.tell(f"accepted: {payment_id} {first.body['status']}")
    payment = client.ended(payment_id)
    wallet = client.wallet_with(seller, NET)
    entries = ledger(client, payment_id)
    timeline(story, client, payment)
    for entry in entries:
        story.tell(f"entry   {entry['entry_type']:<6} {money(entry)}  {entry['account']}")
    story.tell(f"wallet  {seller}: available {euros(wallet['available'])} {wallet['currency']}")
    story.check("the payment succeeded", payment["status"] == "succeeded")
    story.check("the repeated request got the first answer", again.raw == first.raw)
    story.check("and said so", again.headers.get("idempotent-replayed") == "true")
    story.check(
        "the steps ran in order", completed(payment) == ["AssessRisk", "Authorize", "Capture"]
    )
    story.check("debits equal credits, to the cent", signed(entries) == 0 and len(entries) == 3)
    story.check("the fee is three per cent", payment["fees"] == AMOUNT - NET)
    story.check("the seller has the net amount", wallet["available"] == wallet["balance"] == NET)
    books = simulator_books(stack, payment_id)
    story.check(
        "the provider's own books show one charge",
        (books.authorized, books.captured, books.voided) == (1, 1, 0),
    )
    return payment_id


def refunded(story: Story, stack: Stack, client: Client, seller: str, payment_id: str) -> None:
    """Part of the payment given back, by everybody who had a share in it."""
    story.title("A refund of 40.00 EUR, and one that would be too much")
    refund = client.created(f"/payments/{payment_id}/refund", {"amount": REFUND})
    story.tell(f"accepted: {refund['refund_id']} {refund['status']}")
    too_much = client.post(f"/payments/{payment_id}/refund", {"amount": AMOUNT - REFUND + 1})
    story.tell(f"refused:  {too_much.status} {too_much.body['error']['code']}")
    payment = client.payment_when(payment_id, lambda shown: shown["status"] == "partially_refunded")
    wallet = client.wallet_with(seller, NET_LEFT)
    for line in client.get(f"/ledger?account_id={seller}").body["data"]:
        story.tell(
            f"line    {line['number']}  {line['entry_type']:<6} {money(line)}"
            f"  balance {euros(line['balance_after'])}"
        )
    story.check("the payment is partially refunded", payment["refunded"] == REFUND)
    story.check("what is left to refund cannot be exceeded", too_much.status == 409)
    story.check("the seller gave back its share", wallet["balance"] == NET_LEFT)
    entries = ledger(client, payment_id)
    story.check("debits equal credits, to the cent", signed(entries) == 0)
    story.check(
        "the provider gave back as much",
        simulator_books(stack, payment_id).refunded_amount == REFUND,
    )


def declined(story: Story, stack: Stack, client: Client, seller: str) -> None:
    """A payment that the provider declines, and what it leaves: nothing."""
    story.title("A payment of 100.00 EUR with tok_declined")
    payment_id = client.created(
        "/payments",
        {
            "amount": AMOUNT,
            "currency": "EUR",
            "payment_method": "tok_declined",
            "recipient": seller,
        },
    )["payment_id"]
    story.tell(f"accepted: {payment_id}")
    payment = client.ended(payment_id)
    timeline(story, client, payment)
    failure = payment["failure"] or {}
    story.tell(f"failure: {failure.get('reason')} ({failure.get('code')})")
    story.check("the payment failed", payment["status"] == "failed")
    story.check("the reason is the provider's", failure.get("code") == "card_declined")
    story.check("nothing was booked", ledger(client, payment_id) == [])
    wallet = client.wallet_with(seller, NET_LEFT)
    story.check("the seller's wallet is as before", wallet["available"] == NET_LEFT)
    books = simulator_books(stack, payment_id)
    story.check(
        "the provider took and holds nothing",
        (books.authorized, books.captured, books.voided) == (0, 0, 0),
    )


def timeline(story: Story, client: Client, payment: Json) -> None:
    """Each event with its time since the first, and the steps of the saga."""
    events = client.get(f"/payments/{payment['payment_id']}/events").body["data"]
    for event in events:
        at = event["recorded_at"][11:23]
        what = event["data"].get("operation", "")
        story.tell(f"event   {at}  v{event['version']} {event['type']} {what}".rstrip())
    saga = payment["saga"]
    story.tell(f"saga    {saga['status']}: {' ► '.join(saga['completed_steps'])}")
    for execution in saga["executions"]:
        story.tell(f"        {execution}")


def completed(payment: Json) -> list[str]:
    steps: list[str] = payment["saga"]["completed_steps"]
    return steps


def ledger(client: Client, payment_id: str) -> list[Json]:
    entries: list[Json] = client.get(f"/payments/{payment_id}/ledger").body["data"]
    return entries


def signed(entries: list[Json]) -> int:
    """Credits minus debits, in minor units."""
    return sum(
        entry["amount"] if entry["entry_type"] == "CREDIT" else -entry["amount"]
        for entry in entries
    )


def money(entry: Json) -> str:
    return f"{euros(entry['amount']):>9} {entry['currency']}"


def euros(minor: int) -> str:
    return f"{minor // 100}.{minor % 100:02}"


if __name__ == "__main__":
    sys.exit(main())
