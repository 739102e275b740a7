"""Starts the server: binds a port, loads the model, and ends on a signal, when started requests are finished."""

from __future__ import annotations

import errno
import importlib.util
import os
import signal
import socket
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from fittingroom.errors import FittingRoomError, InputError
from fittingroom.serving.gate import Security
from fittingroom.serving.limits import LIMITS
from fittingroom.text import amount, word_list

if TYPE_CHECKING:
    import uvicorn

    from fittingroom.serving.gate import Gate

NEEDED = ("fastapi", "httptools", "prometheus_client", "python_multipart", "uvicorn", "uvloop")
INSTALL = "pip install 'fittingroom[serve]'"

_NEXT_PORTS = 20
_LISTENERS = 8  # the loop takes one new connection of each in a turn, and hundreds may come at once
_LONGEST_END = 15  # seconds in which started requests are finished
_STARTUP_FAILURE = 3  # uvicorn's exit status of a process that must not be started again
_SHARED = "PROMETHEUS_MULTIPROC_DIR"  # where processes keep their metrics for each other (see `batching.Metrics`)


@dataclass(frozen=True)
class _Application:
    """Makes the ASGI application; each process of a server calls it once.

    Args:
        path: the run's folder.
        trust: whether a model file may be run.
        security: who may ask.
        drift: whether what is asked is compared with the validation images.
    """

    path: Path
    trust: bool
    security: Security
    drift: bool = True

    def __call__(self) -> Gate:
        """Loads the model and warms it up."""
        from threadpoolctl import threadpool_limits

        from fittingroom.api.open_runs import open_run
        from fittingroom.serving.app import create_app
        from fittingroom.serving.drift_watch import DriftWatch
        from fittingroom.serving.served_model import ServedModel

        warnings.filterwarnings("ignore", module=r"PIL\.")  # of its own limits, which lie above ours
        # Else the model's thread waits 5 ms for its turn whenever it comes back from arithmetic to a busy loop.
        sys.setswitchinterval(0.002)
        try:
            model = ServedModel.of(open_run(self.path, trust=self.trust))
            # Products are small here: a second thread of the linear algebra would take the event loop's core to wait.
            threadpool_limits(1, "blas")
            model.predictor.warm_up(LIMITS.images)
            watch = DriftWatch.of(self.path, model.predictor) if self.drift else DriftWatch.off(model.data)
        except FittingRoomError as error:
            if _SHARED not in os.environ:
                raise
            print(f"fittingroom: error: {error}", file=sys.stderr)  # noqa: T201 - a process of its own
            sys.exit(_STARTUP_FAILURE)
        return create_app(model, self.security, watch)


def check_server(workers: int, cores: int) -> None:
    """Makes sure that this machine can serve with so many processes.

    Raises:
        InputError: the packages that serving needs are not installed, or there would be more processes than cores.
    """
    check_packages("serving", INSTALL)
    if workers > cores:
        raise InputError(
            f"--workers {workers:,} is more than the {amount(cores, 'core')} that this process may use. More processes "
            f"answer no faster, and each holds the model. Use at most --workers {cores}."
        )


def check_packages(what: str, install: str) -> None:
    """Makes sure that the packages of a server are there.

    Raises:
        InputError: `what` needs some that are not installed, which `install` does.
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(f"{what} needs {word_list(missing)}: {install}")


def bound(host: str, port: int) -> socket.socket:
    """A socket that is bound to the port and does not listen yet.

    Raises:
        InputError: the address is not one of this machine, or the port is taken; the message names the next free one.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except OSError as error:
        raise InputError(f"--host {host}: {error.strerror}. Use an address or a name of this machine.") from error
    try:
        return _listening(family, address)
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            raise InputError(
                f"--host {host} is not an address of this machine; 0.0.0.0 means all interfaces."
            ) from error
        in_use = error.errno == errno.EADDRINUSE
        taken = f"Port {port} is in use." if in_use else f"Port {port} is not available: {error.strerror}."
        for following in range(port + 1, min(port + 1 + _NEXT_PORTS, 65_536)):
            try:
                _listening(family, (address[0], following, *address[2:])).close()
            except OSError:
                continue
            raise InputError(f"{taken} Try --port {following}.") from error
        raise InputError(f"{taken} Choose another one with --port.") from error


def url_of(host: str, sock: socket.socket) -> str:
    """The address of a server for a browser: of all interfaces, that which the machine speaks to others from.

    Args:
        host: as it was given.
        sock: bound to it.
    """
    number = sock.getsockname()[1]
    if host in {"0.0.0.0", "::"}:
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.connect(("192.0.2.1", 9))  # an address of nobody: chooses the interface, and sends nothing
                host = probe.getsockname()[0]
        except OSError:  # no network
            host = socket.gethostname()
    return f"http://[{host}]:{number}" if ":" in host else f"http://{host}:{number}"


def _listening(family: int, address: tuple[object, ...]) -> socket.socket:
    sock = socket.socket(family)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    sock.set_inheritable(True)
    return sock


def serve(
    path: Path,
    sock: socket.socket,
    security: Security,
    ready: Callable[[], None],
    *,
    workers: int = 1,
    trust: bool = False,
    drift: bool = True,
) -> None:
    """Serves a run until SIGTERM or Ctrl-C; started requests are finished. The same signal again ends it at once.

    Args:
        path: the run's folder.
        sock: bound to the port.
        security: who may ask.
        ready: called when requests are answered.
        workers: processes that share the port.
        trust: whether a model file may be run.
        drift: whether what is asked is compared with the validation images, and counted.

    Raises:
        FittingRoomError: the run cannot be opened.
    """
    config = _config(_Application(path, trust, security, drift), workers)
    if workers == 1:
        config.load()
        _serve_here(config, sock, ready)
    else:
        _serve_in_processes(config, sock, ready)


def serve_application(
    make: Callable[[], Gate], sock: socket.socket, ready: Callable[[], None], ending: Callable[[], None]
) -> None:
    """Serves an application in this process until SIGTERM or Ctrl-C, as `serve` does.

    Args:
        make: makes it.
        sock: bound to the port.
        ready: called when requests are answered.
        ending: called with the first signal, so that answers without an end, such as streams of events, end too.
    """
    config = _config(make, 1)
    config.load()
    _serve_here(config, sock, ready, ending)


def _config(make: Callable[[], Gate], workers: int) -> uvicorn.Config:
    import uvicorn

    from fittingroom.serving.connection import Connection

    return uvicorn.Config(
        make,
        factory=True,
        http=Connection,
        ws="none",
        loop="uvloop",
        lifespan="on",
        log_config=None,
        log_level="error",  # the answer says what a client does wrong
        access_log=False,
        proxy_headers=False,
        server_header=False,
        workers=workers,
        timeout_keep_alive=LIMITS.idle,
        timeout_graceful_shutdown=_LONGEST_END,
        timeout_worker_healthcheck=60,
    )


def _serve_here(
    config: uvicorn.Config, sock: socket.socket, ready: Callable[[], None], ending: Callable[[], None] | None = None
) -> None:
    import uvicorn

    class Server(uvicorn.Server):
        """Says when it is ready, and ends with status 0 when it was told to end."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            ready()

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            del sig, frame
            self.force_exit = self.should_exit
            self.should_exit = True
            if ending is not None:
                ending()

    Server(config).run([sock, *(sock.dup() for _ in range(_LISTENERS - 1))])


def _serve_in_processes(config: uvicorn.Config, sock: socket.socket, ready: Callable[[], None]) -> None:
    from uvicorn.supervisors.multiprocess import Multiprocess, Process

    class Processes(Multiprocess):
        """Says when all processes are ready, and ends them at once when a second signal comes.

        Multiprocess passes the first signal on, then waits for the processes and hears nothing any more.
        """

        def __init__(self, config: uvicorn.Config, sockets: list[socket.socket]) -> None:
            super().__init__(config, sockets)
            self._ending = False
            for sig in (signal.SIGINT, signal.SIGTERM):
                signal.signal(sig, self._end)

        def _end(self, sig: int, frame: FrameType | None) -> None:
            del frame
            if self._ending:
                for one in self.processes:
                    one.process.kill()
            self._ending = True
            self.signal_queue.append(sig)

        def init_processes(self) -> None:
            for _ in range(self.processes_num):
                if self.signal_queue:  # told to end before all have started
                    return
                self.processes.append(Process(self.config, self.sockets))
                self.processes[-1].start()
            while not self.signal_queue and all(one.process.is_alive() for one in self.processes):
                if all(not self.signal_queue and one.is_ready(timeout=1) for one in self.processes):
                    ready()
                    return

    processes = Processes(config, [sock])
    with _shared_numbers():
        processes.run()
    if any(one.exitcode == _STARTUP_FAILURE for one in processes.processes):
        raise InputError("The server's processes could not start; the error is above.")


@contextmanager
def _shared_numbers() -> Iterator[None]:
    """A folder in which the processes keep their metrics for each other."""
    with tempfile.TemporaryDirectory(prefix="fittingroom-metrics-") as folder:
        os.environ[_SHARED] = folder
        try:
            yield
        finally:
            del os.environ[_SHARED]
