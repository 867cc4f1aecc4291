"""What DynamoDB cannot do just now is asked of it again: conflicts and throttling.

Both say that nothing was done, so any request may be repeated. The SDK tries throttled requests
again itself, a few times, and conflicts never.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from botocore.exceptions import ClientError

from florin.adapters.aws import error_code
from florin.ports import ContentionError

T = TypeVar("T")

TRIES_MAX: Final = 8
PAUSE_S: Final = 0.02
PAUSE_MAX_S: Final = 0.5

BUSY_ERRORS: Final = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingException",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)
"""What a request meets for a moment; the SDK has tried again before it tells of throttling."""

BUSY_REASONS: Final = frozenset(
    {"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}
)
"""Why an item can stop a transaction for a moment."""


class StoppedError(Exception):
    """A transaction met others at one of its items."""


@dataclass(frozen=True, slots=True)
class Patience:
    """`pause` waits so many seconds."""

    pause: Callable[[float], None] = time.sleep

    def __call__(self, request: Callable[[], T]) -> T:
        """What the request comes to, made again while it raises that DynamoDB is busy.

        Raises:
            ContentionError: it was busy each time.
        """
        for tried in range(TRIES_MAX):
            try:
                return request()
            except StoppedError:
                pass
            except ClientError as error:
                if error_code(error) not in BUSY_ERRORS:
                    raise
            self.rest(tried)
        raise ContentionError(f"{TRIES_MAX} tries met others")

    def rest(self, tried: int) -> None:
        """Wait before the next try: anything up to a pause that doubles with each."""
        self.pause(random.uniform(0, min(PAUSE_MAX_S, PAUSE_S * 2**tried)))  # noqa: S311  # no secret


def stopped(error: ClientError) -> bool:
    """Whether a transaction was canceled by what will soon be over."""
    reasons: Any = error.response.get("CancellationReasons", ())
    return any(reason.get("Code") in BUSY_REASONS for reason in reasons)
