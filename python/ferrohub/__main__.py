"""The command `ferrohub`, also `python -m ferrohub`: the arguments and the terminal belong to the core."""

from __future__ import annotations

import signal
import sys

from ferrohub._native import cli_main


def main() -> int:
    """Run the command with this process's arguments; returns its exit code."""
    # Ctrl-C is the core's to answer; Python would raise KeyboardInterrupt on top of its answer.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return cli_main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
