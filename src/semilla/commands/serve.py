"""``semilla serve``: serve models and runs to programs and browsers."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from semilla.errors import InvalidConfigError
from semilla.installation import EXTRAS
from semilla.prerequisites.packages import require_packages
from semilla.records.nearby import suggest_run
from semilla.system.paths import read_path
from semilla.terminal.console import print_text

HELP = """Serve the runs and models below a folder. Browsers get a site: runs as they go on, reports, comparisons, and a
page to write with each model. Programs get OpenAI's API: /v1/models and /v1/completions. Runs are read, never
touched. Only this machine can connect, unless --host names another address."""

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 8000
MAX_TOKENS, LIMIT_S = 2000, 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "directories",
        type=read_path,
        nargs="*",
        default=[Path()],
        metavar="DIR",
        help="folders to look for runs in, or runs, or bundles (default: the working directory)",
    )
    parser.add_argument(
        "-p",
        "--port",
        type=int,
        default=DEFAULT_PORT,
        metavar="N",
        help=f"0 takes a free one (default: {DEFAULT_PORT})",
    )
    parser.add_argument(
        "--host",
        default=DEFAULT_HOST,
        metavar="ADDRESS",
        help="address to listen at; 0.0.0.0 lets other machines connect, with the token of SERVE_TOKEN or a new "
        f"one (default: {DEFAULT_HOST})",
    )
    parser.add_argument(
        "--max-tokens",
        type=int,
        default=MAX_TOKENS,
        metavar="N",
        help=f"tokens that a request may ask for, 1 to 1000000 (default: {MAX_TOKENS})",
    )
    parser.add_argument(
        "--time-limit",
        type=float,
        default=LIMIT_S,
        metavar="SECONDS",
        help=f"time that a request may take, 1 to 3600 (default: {LIMIT_S:g})",
    )


def run(arguments: argparse.Namespace) -> int:
    check_arguments(arguments)
    require_packages(*EXTRAS["serve"], task="the server")
    # NumPy's BLAS is not used here, but would start a thread for each core.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from semilla.server.api import Limits  # noqa: PLC0415 - not needed for --help
    from semilla.server.app import make_app  # noqa: PLC0415
    from semilla.server.connections import make_server, open_socket  # noqa: PLC0415
    from semilla.server.guard import Access, choose_token  # noqa: PLC0415

    token, is_new = choose_token(arguments.host, os.environ)
    with open_socket(arguments.host, arguments.port) as socket:
        access = Access(arguments.host, token)
        limits = Limits(arguments.max_tokens, arguments.time_limit)
        app = make_app(arguments.directories, access=access, limits=limits)
        server = make_server(app, on_stop=app.state.follower.close)
        # Who reads the address may send a signal at once.
        with server.catch_signals():
            print_text(describe_address(arguments.host, socket.getsockname()[1]))
            if is_new:
                print_text(f"Token: {token}")
            sys.stdout.flush()
            server.run(sockets=[socket])
    return 0


def check_arguments(arguments: argparse.Namespace) -> None:
    """Raise InvalidConfigError for a folder that is not there and a number out of range."""
    for directory in arguments.directories:
        if not directory.is_dir():
            hint, next_command = suggest_run(directory, "serve")
            raise InvalidConfigError(f"there is no folder {directory}{hint}", next_command=next_command)
    ranges = {"port": (0, 65535), "max_tokens": (1, 1_000_000), "time_limit": (1, 3600)}
    for name, (smallest, largest) in ranges.items():
        if not smallest <= getattr(arguments, name) <= largest:
            flag = "--" + name.replace("_", "-")
            raise InvalidConfigError(f"{flag} must be {smallest} to {largest}")


def describe_address(host: str, port: int) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"Serving at http://{shown}:{port}/ (Ctrl-C stops it)"
