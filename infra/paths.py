"""Where things stand in this repository."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT / "shared"
TEMPLATE = ROOT / "template.yaml"
OPENAPI = ROOT / "infra" / "openapi.yaml"
RUNTIME_LOCK = ROOT / "requirements" / "runtime.txt"
STATE = ROOT / ".florin"
BUILT = ROOT / ".aws-sam" / "build"
