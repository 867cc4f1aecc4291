"""The process that is the embedded AWS stack: MiniStack, and a watch on its owner.

    python -m infra.local.server FILE_DESCRIPTOR

The file descriptor is the read end of a pipe whose other end its owner holds. The stack lives
no longer than its owner, however that ends: the kernel closes the pipe even for a `kill -9`.
An owner that wants it to stay (`make up`) writes one byte first.
"""

from __future__ import annotations

import os
import signal
import sys
import threading


def main() -> None:
    pipe = int(sys.argv.pop())  # MiniStack would parse it
    threading.Thread(target=_end_with_owner, args=(pipe,), daemon=True).start()

    # Imported late: it takes a while, and the watch should stand before.
    from ministack.app import main as ministack  # noqa: PLC0415

    ministack()


def _end_with_owner(pipe: int) -> None:
    released = os.read(pipe, 1)
    if not released:
        os.killpg(os.getpgid(0), signal.SIGKILL)  # the workers too: they are in our group


if __name__ == "__main__":
    main()
