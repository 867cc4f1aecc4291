"""What the routes of the API work with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from florin.dead_letters import Redriver
from florin.domain.status import Status
from florin.edge import log
from florin.edge.document import Page as DocumentPage
from florin.handle import Desk
from florin.ports import (
    Accounts,
    ApiKeys,
    Books,
    Clock,
    Config,
    DeadLetters,
    EventStore,
    Hop,
    Ids,
    Page,
    PaymentQuery,
    Sagas,
    Tenant,
)
from florin.projection import Projector
from florin.verification import Runs, VerificationDesk, Wakeups

UNDER_WAY: Final = frozenset({Status.PROCESSING, Status.AUTHORIZED, Status.AWAITING_PROVIDER})
UNDER_WAY_MAX: Final = 20
RECENT: Final = timedelta(minutes=5)
"""How many payments, and how old ones, are looked at for money that is on its way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """The engine's ports, the pepper of the stack, and the API's document as JSON and as a page.

    `pepper` keys the hashes of fields, and `keyed` that of a new API key, whose secret part is a
    `new_secret`. `pause` waits before a request is decided anew that met another one, for the n-th
    time.
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
    page: Callable[[], DocumentPage]
    letters: DeadLetters
    hops: Callable[[], Mapping[str, Hop]]
    api_keys: ApiKeys
    keyed: Callable[[str], str]
    new_secret: Callable[[], str]
    pause: Callable[[int], None] = lambda tried: None

    @property
    def desk(self) -> Desk:
        return Desk(
            store=self.store,
            accounts=self.accounts,
            clock=self.clock,
            ids=self.ids,
            project=self.project,
            catch_up=self.catch_up,
            pause=self.pause,
        )

    def project(self, stream: str) -> None:
        """Bring the books up to date with a stream."""
        Projector(store=self.store, books=self.books).project([stream])

    def bring_up_to_date(self, stream: str) -> None:
        """Do so if it can be done at once; the projector is on its way to do it anyway."""
        try:
            self.project(stream)
        except Exception as error:  # noqa: BLE001  # nothing that happens here undoes the facts
            log.failure("not projected yet", error, stream=stream)

    def catch_up(self, tenant_id: str, account_id: str) -> None:
        """Bring to a wallet what may be on its way to it: what payments that are under way have
        captured, and what was held until a time that is up.
        """
        profile = self.accounts.profile(tenant_id, account_id)
        if profile is None:
            return
        now = self.clock.now()
        under_way = PaymentQuery(
            tenant_id=tenant_id, account=account_id, since=now - RECENT, limit=UNDER_WAY_MAX
        )
        found = self.books.payments(under_way)
        for view in found.views if isinstance(found, Page) else ():
            if view.status in UNDER_WAY:
                self.project(view.stream)
        for held in self.accounts.reserved(profile):
            if held.expires_at is not None and held.expires_at <= now:
                self.desk.expire_hold(held.stream)
                self.project(held.stream)

    @property
    def redriver(self) -> Redriver:
        return Redriver(letters=self.letters, hops=self.hops(), clock=self.clock)

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
