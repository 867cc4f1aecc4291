"""`make sam-deploy`: deploy what `sam build` made to a local stack, and take a payment through it.

The template, the functions' code and the layer are taken from `.aws-sam/build`, byte by byte. Only
what cannot run here is put in another's place: the layer's native modules are for Python 3.13 on
arm64, so each is swapped for the one of the same release that this machine has. What was swapped
is told, so that nobody takes this for a run on Lambda's own processor.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import sys
import tempfile
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

from infra.archive import zip_folder
from infra.client import Client
from infra.local import running_stack
from infra.local.processes import stack_processes
from infra.paths import BUILT
from infra.sam_local import EventsError, check, deployed
from infra.verify import told, verified

LAYER = "FlorinLayer"
PATIENCE_S = 120.0
"""On a busy machine the simulator's first answer comes too late, and is looked up a while after."""


class BuiltError(Exception):
    """What was built does not do; the message says why."""


def main(built: Path = BUILT) -> None:
    if not (built / "template.yaml").exists():
        lack = "`sam build` has made nothing (it needs Python 3.13)"
        if os.environ.get("CI") == "true":
            raise BuiltError(lack)
        print(f"Note: {lack}, so there is nothing to deploy.", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory(prefix="florin-built-") as temporary:
        layer = Path(temporary) / "layer"
        shutil.copytree(built / LAYER, layer)
        for module in swap_native_code(layer / "python"):
            print(f"Swapped for this machine: {module}")
        with running_stack(
            template=built / "template.yaml", layer=lambda: zip_folder(layer, bytecode=True)
        ) as stack:
            print("Deployed what `sam build` made.")
            client = Client.of(stack)
            paid(client)
            check(stack, deployed(stack))
            ran_from_the_layer(stack.pid)
            if not told("Its books", verified(client)):
                raise BuiltError("the books do not agree")
    print("\nA payment succeeded on it, and its books agree.")


def swap_native_code(layer: Path) -> list[str]:
    """Put this machine's native modules in the place of those that it cannot load; their names."""
    swapped = []
    for module in sorted(layer.rglob("*.so")):
        name, _, ending = module.name.partition(".")
        if f".{ending}" in EXTENSION_SUFFIXES:
            continue
        package = module.relative_to(layer).parts[0]
        ours = importlib.metadata.distribution(package)
        if not (layer / f"{package}-{ours.version}.dist-info").is_dir():
            raise BuiltError(f"this machine has another {package} than the layer")
        folder = Path(str(ours.locate_file(""))) / module.relative_to(layer).parent
        (counterpart,) = (
            file for end in EXTENSION_SUFFIXES if (file := folder / f"{name}{end}").exists()
        )
        module.unlink()
        shutil.copy(counterpart, module.parent)
        swapped.append(str(module.relative_to(layer)))
    return swapped


def paid(client: Client) -> None:
    """Take a payment of which all is known when it is done."""
    order = {
        "amount": 10_000,
        "currency": "EUR",
        "payment_method": "tok_visa",
        "recipient": client.seller(),
    }
    payment = client.ended(client.created("/payments", order)["payment_id"], PATIENCE_S)
    if payment["status"] != "succeeded":
        raise BuiltError(f"the payment is {payment['status']}")


def ran_from_the_layer(stack: int | None) -> None:
    """See in what the workers have loaded that their native modules came with the layer."""
    if stack is None or not Path("/proc/self/maps").exists():
        return  # where nobody can look
    loaded = [
        line.split(maxsplit=5)[5]
        for process in stack_processes(stack)
        for line in Path(f"/proc/{process.pid}/maps").read_text(encoding="utf-8").splitlines()
        if "/msgspec/" in line and "ministack-lambda-" in process.command
    ]
    elsewhere = {file.strip() for file in loaded if "/layer" not in file}
    if elsewhere or not loaded:
        raise BuiltError(f"the workers did not run the layer's code, but {elsewhere or 'none'}")


if __name__ == "__main__":
    try:
        main()
    except (BuiltError, EventsError) as error:
        sys.exit(str(error))
