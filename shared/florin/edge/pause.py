"""How long a request waits that met another one at the same payment."""

import random
import time
from typing import Final

PAUSE_S: Final = 0.02
PAUSE_MAX_S: Final = 0.25


def pause(tried: int) -> None:
    """Wait with full jitter: anything up to a pause that doubles with each try."""
    time.sleep(random.uniform(0, min(PAUSE_MAX_S, PAUSE_S * 2**tried)))  # noqa: S311  # no secret
