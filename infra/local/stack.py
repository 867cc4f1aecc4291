"""What a deployed local stack is: addresses, names, tenants. Kept as `stack.json`.

The names follow from the template's outputs by their form, so a new table, queue or state
machine shows up here by being an output:

    EventsTable        tables["events"]
    AnalyticsQueue     queues["analytics"]
    ProjectorParked    queues["projector_parked"], and so for …DeadLetters
    PaymentStandard    state_machines["standard"] (any output that is a state machine's ARN)
    Bus, ApiUrl, SimulatorUrl
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from infra.local.clients import client_factory
from infra.seed import Tenant

FILE_NAME = "stack.json"
EXECUTE_API = re.compile(r"^https?://([^./]+)\.execute-api\.[^/]+/(.*)$")
FUNCTION_URL = re.compile(r"^https?://([^./]+)\.lambda-url\.[^/]+/?(.*)$")


@dataclass(frozen=True)
class Stack:
    """`api_url` and `simulator_url` are bases: append "/payments" to the first."""

    endpoint_url: str
    region: str
    api_url: str
    simulator_url: str
    tenants: tuple[Tenant, ...]
    tables: dict[str, str]
    queues: dict[str, str]
    state_machines: dict[str, str]
    bus: str
    outputs: dict[str, str]
    pid: int | None
    """The server's process and process group; None where the stack is not ours to end."""

    @classmethod
    def of(
        cls,
        outputs: Mapping[str, str],
        tenants: tuple[Tenant, ...],
        *,
        endpoint_url: str,
        region: str,
        pid: int | None,
    ) -> Self:
        """Sort the outputs (with local addresses in them) into what they name."""
        return cls(
            endpoint_url=endpoint_url,
            region=region,
            api_url=outputs.get("ApiUrl", ""),
            simulator_url=outputs.get("SimulatorUrl", ""),
            tenants=tenants,
            tables={
                snake(name.removesuffix("Table")): value
                for name, value in outputs.items()
                if name.endswith("Table")
            },
            queues={
                snake(name.removesuffix("Queue")): value
                for name, value in outputs.items()
                if name.endswith(("Queue", "Parked", "DeadLetters"))
            },
            state_machines={
                snake(name.removeprefix("Payment")): value
                for name, value in outputs.items()
                if ":stateMachine:" in value
            },
            bus=outputs.get("Bus", ""),
            outputs=dict(outputs),
            pid=pid,
        )

    def client(self, service: str) -> Any:
        """A boto3 client for this stack."""
        return client_factory(self.endpoint_url, self.region)(service)

    def save(self, directory: Path) -> None:
        file = directory / FILE_NAME
        file.touch(mode=0o600)  # it holds keys, if only to a stack on this machine
        file.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, directory: Path) -> Self | None:
        try:
            stored = json.loads((directory / FILE_NAME).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        tenants = tuple(Tenant(**tenant) for tenant in stored.pop("tenants"))
        return cls(tenants=tenants, **stored)


def local_address(url: str, endpoint_url: str) -> str:
    """An address of API Gateway or of a function, as the local stack serves it: by path."""
    if match := EXECUTE_API.match(url):
        return f"{endpoint_url}/_aws/execute-api/{match[1]}/{match[2]}".rstrip("/")
    if match := FUNCTION_URL.match(url):
        return f"{endpoint_url}/_aws/lambda-url/{match[1]}/{match[2]}".rstrip("/")
    return url.rstrip("/")


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
