"""Bring a stack up with the template in it, renew its code, take it down."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.archive import zip_folder
from infra.build import Target, build_layer
from infra.local import emulator
from infra.local.clients import client_factory
from infra.local.deploy import deploy
from infra.local.emulator import REGION
from infra.local.gateway import answer_as_documented
from infra.local.package import BuildLayer, Packager, load_template
from infra.local.processes import end_group
from infra.local.stack import FILE_NAME, Stack, local_address
from infra.paths import TEMPLATE
from infra.seed import Tenant, seed

STACK_NAME = "florin"
BUCKET = "florin-artefacts"
# The stage's parameters, as far as the template declares them.
PARAMETERS = {"Stage": "dev"}


@contextmanager
def running_stack(
    port: int | None = None,
    directory: Path | None = None,
    template: Path = TEMPLATE,
    functions_endpoint_url: str | None = None,
    layer: BuildLayer | None = None,
) -> Iterator[Stack]:
    """A fresh stack with the template deployed and two tenants; gone when the block ends,
    and also when this process is killed. Its functions may be given another address of AWS, and a
    layer that was built already."""
    with tempfile.TemporaryDirectory(prefix="florin-") as temporary:
        directory = directory or Path(temporary)
        server = emulator.start(directory, port, functions_endpoint_url)
        try:
            yield bring_up(server.endpoint_url, directory, template, pid=server.group, layer=layer)
        finally:
            server.stop()
            (directory / FILE_NAME).unlink(missing_ok=True)


def up(directory: Path, port: int | None, template: Path = TEMPLATE) -> Stack:
    """Start the embedded stack and leave it running; `directory` must have none."""
    server = emulator.start(directory, port)
    try:
        stack = bring_up(server.endpoint_url, directory, template, pid=server.group)
    except BaseException:
        server.stop()
        raise
    server.release()
    return stack


def attach(endpoint_url: str, directory: Path, template: Path = TEMPLATE) -> Stack:
    """Deploy into a stack that somebody else started and will end (LocalStack)."""
    directory.mkdir(parents=True, exist_ok=True)
    return bring_up(endpoint_url, directory, template, pid=None)


def running(directory: Path) -> Stack | None:
    """The stack of this directory, if its server lives."""
    stack = Stack.load(directory)
    if stack and stack.pid is not None and not emulator.is_running(stack.pid):
        return None
    return stack


def down(directory: Path) -> None:
    """End what `directory` knows of, if anything."""
    stack = Stack.load(directory)
    if stack and stack.pid is not None:
        end_group(stack.pid)  # also when the server was killed: its workers may live
    (directory / FILE_NAME).unlink(missing_ok=True)


def bring_up(
    endpoint_url: str,
    directory: Path,
    template: Path,
    *,
    pid: int | None,
    layer: BuildLayer | None = None,
) -> Stack:
    """Deploy into the stack at `endpoint_url`, seed it, write stack.json."""
    outputs = release(endpoint_url, directory, template, _target(pid), layer)
    tenants = seed(outputs, client_factory(endpoint_url, REGION))
    return _save(outputs, tenants, endpoint_url, directory, pid)


def reload(directory: Path, template: Path = TEMPLATE) -> Stack | None:
    """Bring the code and template as they are now into the running stack; data and keys stay."""
    stack = running(directory)
    if stack is None:
        return None
    outputs = release(stack.endpoint_url, directory, template, _target(stack.pid))
    return _save(outputs, stack.tenants, stack.endpoint_url, directory, stack.pid)


def release(
    endpoint_url: str,
    directory: Path,
    template: Path,
    target: Target,
    layer: BuildLayer | None = None,
) -> dict[str, str]:
    """Package the template and deploy it; return its outputs, with local addresses."""
    clients = client_factory(endpoint_url, REGION)
    build = directory / "layer"

    def built() -> bytes:
        build_layer(target, build)
        return zip_folder(build, prefix="python/", bytecode=True)

    clients("s3").create_bucket(Bucket=BUCKET)
    url = Packager(clients("s3"), BUCKET, endpoint_url, layer or built).package(template)
    declared = load_template(template).get("Parameters", {})
    parameters = {name: value for name, value in PARAMETERS.items() if name in declared}
    outputs = deploy(clients("cloudformation"), STACK_NAME, url, parameters)
    answer_as_documented(clients("apigateway"), template, outputs.get("ApiUrl", ""))
    return {name: local_address(value, endpoint_url) for name, value in outputs.items()}


def _target(pid: int | None) -> Target:
    """Our own server runs workers with this interpreter; any other stack has its own Python."""
    return Target.AWS if pid is None else Target.LOCAL


def _save(
    outputs: dict[str, str],
    tenants: tuple[Tenant, ...],
    endpoint_url: str,
    directory: Path,
    pid: int | None,
) -> Stack:
    stack = Stack.of(outputs, tenants, endpoint_url=endpoint_url, region=REGION, pid=pid)
    stack.save(directory)
    return stack
