"""Says hello, and which florin it found."""

from __future__ import annotations

import json
import os
from typing import Any

import florin

GREETING = "Buongiorno"


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    print("greeting")
    return {
        "statusCode": 200,
        "body": json.dumps({"says": GREETING, "florin": florin.__file__, "pid": os.getpid()}),
    }
