"""Two published designs, rebuilt small, to be counted by the same meter.

`saga`: the shape of AWS's own saga samples (`saga-pattern` of the Step Functions workflows
collection): a request starts a STANDARD execution in which a function per step writes an item, with
no idempotency, no ledger and no outbox. `plain`: the shape of tutorials that put it all into one
function behind HTTP: one transaction with key, payment, two legs and balances, and nobody hears of
it.
"""
