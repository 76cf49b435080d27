"""The command line: ``fastadapd figure1`` and ``fastadapd info``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from fastadapd._config import __version__, describe
from fastadapd.errors import FastadapdError

_INTERRUPTED = 130  # 128 + SIGINT, as shells count


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def _at_least(lowest: int) -> Callable[[str], int]:
    def whole(text: str) -> int:
        try:
            value = int(text.replace("_", ""))
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
        if value < lowest:
            raise argparse.ArgumentTypeError(f"{value} is too small; at least {lowest}")
        return value

    return whole


def _parser() -> _Parser:
    parser = _Parser("fastadapd", description="Decentralized constrained convex optimization with compiled loops.")
    parser.add_argument("--version", action="version", version=f"fastadapd {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="{figure1,info}")

    figure1 = commands.add_parser(
        "figure1", help="reproduce the experiment of the AD-APD paper",
        description="Localization over a small-world network: AD-APD against DPDA-S. Prints a table, writes "
                    "figure1.png and figure1.csv. Needs pip install 'fastadapd[figures]'.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    figure1.set_defaults(parser=figure1)
    figure1.add_argument("--agents", type=_at_least(2), default=30, help="number of agents")
    figure1.add_argument("--dim", type=_at_least(1), default=20, help="number of coordinates")
    figure1.add_argument("--edges", type=_at_least(0), default=argparse.SUPPRESS,
                         help="random edges besides the cycle (default: 2 per agent)")
    figure1.add_argument("--seeds", type=_at_least(1), default=10, help="number of problems that are drawn")
    figure1.add_argument("--communications", type=_at_least(1), default=150_000,
                         help="length of every run, in activations")
    figure1.add_argument("--engine", choices=("auto", "c", "numba", "numpy"), default="auto", help="runs the loops")
    figure1.add_argument("--out", type=Path, default=Path("."), help="directory for the files; made if it is missing")

    commands.add_parser("info", help="engines that work here, SIMD path, versions")
    return parser


def _figure1(options: argparse.Namespace) -> None:
    chords = max(0, options.agents * (options.agents - 3) // 2)
    edges = getattr(options, "edges", min(2 * options.agents, chords))
    if edges > chords:
        options.parser.error(f"argument --edges: {edges} is too many; with a cycle of {options.agents} agents at most "
                             f"{chords}")
    if options.communications < options.agents:
        options.parser.error(f"argument --communications: {options.communications} is too small; at least "
                             f"{options.agents}, one per agent")
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        options.parser.error(f"argument --out: {error}")
    if not os.access(options.out, os.W_OK):
        options.parser.error(f"argument --out: {str(options.out)!r} is not writable")

    from fastadapd import figure1

    size = figure1.Experiment(options.agents, options.dim, edges, options.seeds, options.communications, options.engine)
    figure1.main(size, options.out)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments; by default those of the process.

    Returns
    -------
    int
        Exit code: 0, 1 when something is missing or does not work here, 130 after Ctrl-C. Wrong options end the process
        with code 2.
    """
    options = _parser().parse_args(argv)
    try:
        if options.command == "figure1":
            _figure1(options)
        else:
            print(describe())
    except (FastadapdError, OSError) as error:
        print(f"fastadapd: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("fastadapd: interrupted", file=sys.stderr)
        return _INTERRUPTED
    return 0
