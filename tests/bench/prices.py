"""What AWS charges, and what a count comes to.

List prices of us-east-1 as found in November 2026, without free tiers: dollars per million of what
is counted. Times on AWS cannot be measured here, so what is charged by time rests on the
assumptions below.
"""

from dataclasses import dataclass
from math import ceil
from typing import Final

PRICES_OF: Final = "2026-11"
REGION: Final = "us-east-1"

WRITE_UNIT: Final = 0.625
READ_UNIT: Final = 0.125
REST_REQUEST: Final = 3.50
HTTP_REQUEST: Final = 1.00
INVOCATION: Final = 0.20
GB_SECOND_ARM: Final = 13.3334
TRANSITION: Final = 25.0
EXPRESS_REQUEST: Final = 1.00
EXPRESS_GB_SECOND: Final = 16.67
EXPRESS_STEP_MS: Final = 100
EXPRESS_MEMORY_MB: Final = 64
BUS_ENTRY: Final = 1.00
QUEUE_REQUEST: Final = 0.40
TRACE: Final = 5.00
LOG_GB: Final = 0.50
KMS_REQUEST: Final = 3.00

# Assumed, because no emulator knows it.
PROVIDER_MS: Final = 250
"""A call to the payment provider."""
ROUND_TRIP_MS: Final = 5
"""A request to DynamoDB that is no transaction."""
TRANSACTION_MS: Final = 10
OTHER_MS: Final = 15
"""A request to any other service."""
CALL_CPU_MS: Final = 3
"""What a request costs its function's share of a core at 512 MB: 0.72 ms of a whole one."""
CPU_AT_MB: Final = 512
HANDLER_MS: Final = 3
"""What an invocation takes beside its calls."""
STATE_MS: Final = 10
"""What a state machine takes to go from one state to the next."""
LOG_KB: Final = 1.5
"""What an invocation writes to its log, the lines of the platform included."""
KMS_SHARE: Final = 0.01
"""DynamoDB asks KMS for a table's key again only now and then: so many requests per access."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a bill: how much of something a payment takes, at dollars per million."""

    name: str
    quantity: float
    unit: str
    price: float

    @property
    def dollars(self) -> float:
        """Dollars per million payments."""
        return self.quantity * self.price


def express_gb_s(duration_ms: float) -> float:
    """What an EXPRESS execution is charged for: steps of 100 ms in steps of 64 MB."""
    steps = ceil(duration_ms / EXPRESS_STEP_MS)
    return steps * EXPRESS_STEP_MS / 1000 * EXPRESS_MEMORY_MB / 1024
