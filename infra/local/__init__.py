"""The AWS stack on a laptop: `make up`, the demo and the end-to-end tests share it.

with running_stack() as stack:
    requests.post(f"{stack.api_url}/payments", ...)
"""

from __future__ import annotations

from infra.local.lifecycle import running_stack
from infra.local.stack import Stack
from infra.seed import Tenant

__all__ = ["Stack", "Tenant", "running_stack"]
