"""`fittingroom serve`: a run behind HTTP."""

from __future__ import annotations

import argparse

from fittingroom.cli.command import CommandOutput, CommandParser, count, port, say
from fittingroom.runs.place import find_run
from fittingroom.runs.record import usable_cores


def configure(parser: CommandParser) -> None:
    """Declares the arguments, and what to run with them."""
    parser.add_run(default="latest")
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen at (default: 127.0.0.1, this machine alone; any other needs the token that is printed)",
    )
    parser.add_argument("--port", type=port, default=8000, help="port to listen at (default: 8000; 0: any free one)")
    parser.add_argument(
        "--workers",
        metavar="N",
        type=count,
        default=1,
        help="processes that share the port, at most one for each core (default: 1)",
    )
    parser.add_argument(
        "--no-drift",
        dest="drift",
        action="store_false",
        help="count nothing of what is asked, and do not compare it with the validation images",
    )
    parser.add_trust()
    parser.set_defaults(execute=_run)


def _run(arguments: argparse.Namespace) -> CommandOutput:
    """Serves until Ctrl-C or SIGTERM."""
    from fittingroom.serving.gate import Security
    from fittingroom.serving.server import bound, check_server, serve, url_of

    check_server(arguments.workers, usable_cores())
    path = find_run(arguments.run)  # before the heavy packages are imported
    security = Security.of(arguments.host, links=True)
    with bound(arguments.host, arguments.port) as sock:
        url = url_of(arguments.host, sock)
        if security.token is not None:
            say("token", f"{security.token} (each request needs the header `Authorization: Bearer TOKEN`)")
            say("link", f"{security.link(url)} opens the page in a browser, on a phone too.")

        serve(
            path,
            sock,
            security,
            lambda: say("serving", f"{path} at {url}; {url}/docs says how programs ask. Ctrl-C ends it."),
            workers=arguments.workers,
            trust=arguments.trust,
            drift=arguments.drift,
        )
    return CommandOutput({"run": str(path), "url": url}, f"{path} was served at {url}.")
