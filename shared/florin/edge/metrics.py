"""Metrics, each as a line of the log that CloudWatch reads numbers from (its embedded format).

Only what is rare or slow tells one: what everybody does is counted by AWS already, and a payment
that goes well pays for no line here (docs/adr/0034). Alarms and dashboard stand on these names,
and a test compares them with the template in both directions.
"""

import os
import time
from enum import StrEnum
from typing import Final

from florin.edge import log

NAMESPACE: Final = "Florin"


class Metric(StrEnum):
    """What is counted or measured. Alarms name them: add, never rename."""

    DEAD_LETTERS = "DeadLetters"
    """Work that a hop gave up, by hop."""

    TAMPERED_EVENTS = "TamperedEvents"
    """Records that say that an event was changed or deleted."""

    UNANSWERED_SECONDS = "UnansweredSeconds"
    """How long a provider's answer is overdue, whenever somebody takes its payment up again."""

    NEEDS_OPERATOR = "NeedsOperator"
    """Steps that found that everything was tried as often as it may be."""

    VERIFICATION_FINDINGS = "VerificationFindings"
    """What a verification found wrong with a tenant's books; nought when all is well."""

    OVERLOOKED = "Overlooked"
    """Streams and events that the hourly walk had to make good."""


UNITS: Final = {Metric.UNANSWERED_SECONDS: "Seconds"}
"""All others are counts."""


def tell(
    metric: Metric,
    value: float,
    kind: str,
    *,
    level: str = "ERROR",
    hop: str | None = None,
    **fields: object,
) -> None:
    """Tell of something on a line of the log that CloudWatch takes a number from.

    It is written at every LOG_LEVEL: an alarm may wait for it.
    """
    by = {"Stack": os.environ.get("STACK", "unnamed")} | ({"Hop": hop} if hop else {})
    log.always(
        level,
        kind,
        _aws={
            "Timestamp": int(time.time() * 1000),
            "CloudWatchMetrics": [
                {
                    "Namespace": NAMESPACE,
                    "Dimensions": [list(by)],
                    "Metrics": [{"Name": metric, "Unit": UNITS.get(metric, "Count")}],
                }
            ],
        },
        **{metric: value},
        **by,
        **fields,
    )
