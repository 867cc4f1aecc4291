"""What the routes of the API work with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from florin.dead_letters import Redriver
from florin.handle import Desk
from florin.ports import (
    Accounts,
    Books,
    Clock,
    Config,
    DeadLetters,
    EventStore,
    Hop,
    Ids,
    Sagas,
    Tenant,
)
from florin.projection import Projector


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """The engine's ports, the pepper of the stack, and the API's document as JSON text.

    `pause` waits before a request is decided anew that met another one, for the n-th time.
    Who has one of the `operator_roles` sees also the dead letters that belong to no tenant.
    """

    store: EventStore
    books: Books
    accounts: Accounts
    config: Config
    sagas: Sagas
    clock: Clock
    ids: Ids
    pepper: Callable[[], bytes]
    document: Callable[[], str]
    letters: DeadLetters
    hops: Callable[[], Mapping[str, Hop]]
    operator_roles: frozenset[str] = frozenset()
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
    def redriver(self) -> Redriver:
        return Redriver(letters=self.letters, hops=self.hops(), clock=self.clock)

    def tenant(self, tenant_id: str) -> Tenant:
        """The tenant whose key opened the door, so there must be one."""
        tenant = self.config.tenant(tenant_id)
        if tenant is None:
            raise LookupError("an API key names a tenant that is not configured")
        return tenant
