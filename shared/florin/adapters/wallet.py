"""Payments out of wallets: a provider that has to ask nobody.

The money was reserved in the write that accepted the payment, so whatever is asked of it here can
be done, and is done by the entry of the fact that records the answer. The saga treats a wallet
like any provider, so that a payment has one life whoever pays.
"""

from datetime import timedelta

from florin.domain.money import Money
from florin.domain.payment import Call, PaymentAuthorized, PaymentInitiated
from florin.domain.provider import Approved, ProviderAnswer


class WalletProvider:
    """It approves. What somebody else announced and did not record is approved when looked up."""

    not_found_final_after = timedelta(0)
    key_retention = timedelta(days=1)

    def authorize(self, call: Call, terms: PaymentInitiated) -> ProviderAnswer:
        return _approved(call)

    def capture(
        self,
        call: Call,
        authorization: PaymentAuthorized,
        amount: Money,
        *,
        final: bool = True,
    ) -> ProviderAnswer:
        return _approved(call)

    def void(self, call: Call, authorization: PaymentAuthorized) -> ProviderAnswer:
        return _approved(call)

    def refund(self, call: Call, authorization: PaymentAuthorized, amount: Money) -> ProviderAnswer:
        return _approved(call)

    def look_up(
        self, call: Call, amount: Money, authorization: PaymentAuthorized | None
    ) -> ProviderAnswer:
        return _approved(call)


def _approved(call: Call) -> Approved:
    return Approved(provider_reference=call.reference)
