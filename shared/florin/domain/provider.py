"""What a payment provider can answer, in the engine's words."""

from dataclasses import dataclass
from enum import StrEnum


class Operation(StrEnum):
    """What a provider is asked to do with a charge."""

    AUTHORIZATION = "authorization"
    CAPTURE = "capture"
    VOID = "void"
    REFUND = "refund"


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """What may be shown of the means of payment: never more than its last four characters."""

    kind: str
    brand: str
    last4: str

    @property
    def masked(self) -> str:
        return f"{self.kind}_****{self.last4}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Approved:
    """It is done. `provider_reference` is the provider's own name for the charge."""

    provider_reference: str
    method: Method | None = None


class Hardness(StrEnum):
    """Whether another provider, or another try, could answer differently."""

    HARD = "hard"
    SOFT = "soft"


@dataclass(frozen=True, slots=True, kw_only=True)
class Declined:
    """The provider said no, so nothing moved."""

    code: str
    hardness: Hardness


@dataclass(frozen=True, slots=True, kw_only=True)
class NotAttempted:
    """No byte of the request was sent, or the provider says that it did nothing: nothing moved.

    Not `certain` is what only follows from the provider's not knowing of it after a long while.
    """

    reason: str
    certain: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """The request was sent and no answer that could be understood came back."""

    reason: str


ProviderAnswer = Approved | Declined | NotAttempted | Unknown
