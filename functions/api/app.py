"""What the routes of the API work with."""

from collections.abc import Callable
from dataclasses import dataclass

from florin.handle import Desk
from florin.ports import Accounts, Books, Clock, Config, EventStore, Ids, Sagas, Tenant
from florin.projection import Projector
from florin.verification import Runs, VerificationDesk, Wakeups


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """The engine's ports, the pepper of the stack, and the API's document as JSON text.

    `pause` waits before a request is decided anew that met another one, for the n-th time.
    """

    store: EventStore
    books: Books
    accounts: Accounts
    config: Config
    sagas: Sagas
    runs: Runs
    wakeups: Wakeups
    clock: Clock
    ids: Ids
    pepper: Callable[[], bytes]
    document: Callable[[], str]
    pause: Callable[[int], None] = lambda tried: None

    @property
    def desk(self) -> Desk:
        projector = Projector(store=self.store, books=self.books)
        return Desk(
            store=self.store,
            clock=self.clock,
            ids=self.ids,
            project=lambda payment_id: projector.project([payment_id]),
            pause=self.pause,
        )

    @property
    def verification(self) -> VerificationDesk:
        return VerificationDesk(
            store=self.store,
            runs=self.runs,
            wakeups=self.wakeups,
            clock=self.clock,
            ids=self.ids,
        )

    def tenant(self, tenant_id: str) -> Tenant:
        """The tenant whose key opened the door, so there must be one."""
        tenant = self.config.tenant(tenant_id)
        if tenant is None:
            raise LookupError("an API key names a tenant that is not configured")
        return tenant
