"""make up, make down, make reload.

    python -m infra.local up [--port N] | down | reload

With STACK=localstack nothing is started or ended: the template is deployed into the LocalStack
that AWS_ENDPOINT_URL names (http://localhost:4566 if it is not set). The layer then is the one
for AWS, with native code for arm64: on another processor LocalStack needs Docker's emulation.
"""

from __future__ import annotations

import argparse
import os
import sys
import time

from infra.build import BuildError
from infra.local import lifecycle
from infra.local.deploy import DeployError
from infra.local.emulator import StackError
from infra.local.package import PackageError
from infra.local.stack import FILE_NAME, Stack
from infra.paths import ROOT, STATE

LOCALSTACK = "http://localhost:4566"


def up(port: int | None) -> None:
    if stack := lifecycle.running(STATE):
        print("The stack is running already (make reload renews its code, make down ends it).")
        show(stack)
        return
    lifecycle.down(STATE)  # what a killed stack left behind
    begun = time.monotonic()
    if os.environ.get("STACK") == "localstack":
        stack = lifecycle.attach(os.environ.get("AWS_ENDPOINT_URL", LOCALSTACK), STATE)
    else:
        stack = lifecycle.up(STATE, port)
    print(f"The stack is up after {time.monotonic() - begun:.1f} s.")
    show(stack)


def down() -> None:
    stack = lifecycle.running(STATE)
    lifecycle.down(STATE)
    if stack is None:
        print("There was no stack running.")
    elif stack.pid is None:
        print(f"The stack at {stack.endpoint_url} is forgotten here; it is not ours to end.")
    else:
        print("The stack is down.")


def reload() -> None:
    begun = time.monotonic()
    if lifecycle.reload(STATE) is None:
        sys.exit("There is no stack running; start one with make up.")
    print(f"The stack has the new code after {time.monotonic() - begun:.1f} s.")


def show(stack: Stack) -> None:
    print(f"  API        {stack.api_url}")
    print(f"  AWS        {stack.endpoint_url} ({stack.region})")
    for tenant in stack.tenants:
        print(f"  {tenant.name:<15}{tenant.api_key}")
    print(f"  all of it  {(STATE / FILE_NAME).relative_to(ROOT)}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m infra.local")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up").add_argument("--port", type=int)
    commands.add_parser("down")
    commands.add_parser("reload")
    arguments = parser.parse_args()
    try:
        if arguments.command == "up":
            up(arguments.port)
        elif arguments.command == "down":
            down()
        else:
            reload()
    except (BuildError, DeployError, PackageError, StackError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
