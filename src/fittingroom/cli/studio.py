"""`fittingroom studio`: training, looking and trying in the browser."""

from __future__ import annotations

import argparse
import os
import sys

from fittingroom.atomic import absolute
from fittingroom.cli.command import CommandOutput, CommandParser, file_path, port, say
from fittingroom.runs.place import RunsFolder

INSTALL = "pip install 'fittingroom[studio]'"


def configure(parser: CommandParser) -> None:
    """Declares the arguments, and what to run with them."""
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen at (default: 127.0.0.1, this machine alone; with any other, two links with a token are "
        "printed: the owner's, and one for others, who look and try)",
    )
    parser.add_argument("--port", type=port, default=8000, help="port to listen at (default: 8000; 0: any free one)")
    parser.add_argument(
        "--runs", type=file_path, metavar="DIR", help="folder of runs (default: FITTINGROOM_RUNS_DIR, else runs)"
    )
    parser.add_argument("--no-browser", action="store_true", help="print the link, and open no page")
    parser.add_trust()
    parser.set_defaults(execute=_run)


def _run(arguments: argparse.Namespace) -> CommandOutput:
    """Serves until Ctrl-C or SIGTERM."""
    from fittingroom.serving.gate import Security
    from fittingroom.serving.server import bound, check_packages, serve_application, url_of

    check_packages("the studio", INSTALL)
    if arguments.runs is not None:
        os.environ["FITTINGROOM_RUNS_DIR"] = str(
            absolute(arguments.runs)
        )  # also for the trainings, which are processes
    security = Security.of(arguments.host, links=True, guests=True)
    with bound(arguments.host, arguments.port) as sock:
        from fittingroom.studio.application import create_studio
        from fittingroom.studio.studio import Studio

        url = url_of(arguments.host, sock)
        studio = Studio(trust=arguments.trust)

        def ready() -> None:
            say("studio", f"{security.link(url)} shows the runs in {RunsFolder().path}. Ctrl-C ends it.")
            if security.guest is not None:
                say("for others", f"{security.link(url, 'guest')} looks and tries, and changes nothing.")
            if not arguments.no_browser and _has_display():
                _open(security.link(url))

        serve_application(lambda: create_studio(studio, security), sock, ready, studio.events.close)
    return CommandOutput({"folder": str(RunsFolder().path), "url": url}, f"The studio was at {url}.")


def _has_display() -> bool:
    """Whether there is a screen that a browser could open on."""
    if sys.platform in {"darwin", "win32"}:
        return "SSH_CONNECTION" not in os.environ
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _open(link: str) -> None:
    """Opens the page. In a thread: a browser of the terminal would hold up the server."""
    import threading
    import webbrowser

    threading.Thread(target=webbrowser.open, args=(link,), daemon=True).start()
