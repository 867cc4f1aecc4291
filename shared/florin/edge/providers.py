"""The payment providers that a step of the saga can call, by the name in the payment."""

from functools import cache

from florin.adapters import aws
from florin.adapters.simulator import SimulatorProvider
from florin.adapters.wallet import WalletProvider
from florin.domain.payment import WALLET_PROVIDER
from florin.edge import wiring
from florin.ports import PaymentProvider


@cache
def provider(name: str) -> PaymentProvider:
    """The adapter of a provider, with its address and credentials as they are configured.

    Raises:
        LookupError: there is no such provider, or no route to it in this stack.
    """
    if name == WALLET_PROVIDER:
        return WalletProvider()
    route = wiring.config().provider_route(name)
    if name != "simulator" or route is None:
        raise LookupError(f"no provider {name}")
    secret = aws.secret(aws.client("secretsmanager"), wiring.setting("SIMULATOR_SECRET_ID"))
    return SimulatorProvider(route, secret)
