"""The process that opens hostile files, started once, and the world around it, which must not change."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hostile.case import Place

ROOT = Path(__file__).parents[2]
PATIENCE = float(
    os.environ.get("HP", "60")
)  # seconds by the clock, on any machine; the limit that is promised is in processor time


class World:
    """A process, its honest runs, and folders that no file may change.

    Args:
        folder: a new one, for all of it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("home", "outside", "cases"):
            (folder / name).mkdir()
        (folder / "outside" / "secret").write_text("of somebody else")
        self._process: subprocess.Popen[str] | None = None

    def place(self, number: int) -> Place:
        """A new folder for a case."""
        own = self.folder / "cases" / str(number)
        own.mkdir()
        return Place(own, self.folder / "outside" / "canary", self.folder / "outside", self.folder / "honest")

    def start(self) -> None:
        """Starts the process, unless it runs."""
        if self._process is not None and self._process.poll() is None:
            return
        environment = {
            **os.environ,
            "HOME": str(self.folder / "home"),
            "HONEST": str(self.folder / "honest"),
            "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",  # the honest runs are there sooner
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}",
        }
        self._process = subprocess.Popen(
            [sys.executable, "-B", "-m", "tests.hostile.worker"],  # bytecode of ours would be a file written elsewhere
            cwd=self.folder / "home",
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._read() == "ready\n"

    def open(self, opener: str, folder: Path) -> dict[str, Any]:
        """What the process says after it has opened a case's files."""
        self.start()
        assert self._process is not None
        assert self._process.stdin is not None
        print(json.dumps({"open": opener, "folder": str(folder)}), file=self._process.stdin, flush=True)
        return dict(json.loads(self._read()))

    def _read(self) -> str:
        """The next line, unless the process waits for ever or has died."""
        assert self._process is not None
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], PATIENCE)[0]:
            self.stop()
            raise TimeoutError(f"no answer in {PATIENCE} s")
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process has ended with status {self._process.wait()}")
        return line

    def stop(self) -> None:
        """Ends the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The process, ready to open files. Its current folder, which is its home, and the folder `outside` are watched."""
    world = World(tmp_path_factory.mktemp("hostile"))
    try:
        world.start()
        yield world
    finally:
        world.stop()
