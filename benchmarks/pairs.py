"""Fair timing of commands: in turn, round by round, whole processes, with the peak of their memory.

A machine slows down and speeds up while it is measured. Commands that run one right after the other share most of
that, so the ratio is taken within each round, and the median of the ratios is what counts.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Command:
    """A program to measure: what to run, with which additions to the environment, and in which folder."""

    name: str
    arguments: Sequence[str]
    environment: dict[str, str]
    folder: Path


@dataclass(frozen=True)
class Sample:
    """One run of a command: wall-clock seconds, peak resident memory in MiB, and its standard output."""

    seconds: float
    peak_mib: float
    output: str


@dataclass(frozen=True)
class Spread:
    """The median of some figures, with the lowest and the highest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, figures: Iterable[float]) -> Spread:
        """The spread of at least one figure."""
        values = sorted(figures)
        return cls(statistics.median(values), values[0], values[-1])

    def text(self, unit: str = "", digits: int = 2) -> str:
        """For a table: `5.71 s (5.60–6.02)`."""
        return f"{self.median:,.{digits}f}{unit} ({self.low:,.{digits}f}–{self.high:,.{digits}f})"


def measure(command: Command) -> Sample:
    """Runs a command to its end.

    The peak is that of the largest process among the command and all that it waited for. Linux counts in it what this
    process held when it started the command, so measure from a small one.

    Raises:
        RuntimeError: the command failed; the message holds the end of its standard error.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        process = subprocess.Popen(
            command.arguments,
            cwd=command.folder,
            env={**os.environ, **command.environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        printed, complaints = (_whole_text(stream) for stream in (output, errors))
    if process.returncode != 0:
        raise RuntimeError(f"{command.name} ended with status {process.returncode}:\n{complaints[-2000:]}")
    kibibytes = usage.ru_maxrss / 1024 if sys.platform == "darwin" else usage.ru_maxrss
    return Sample(seconds, kibibytes / 1024, printed)


def _whole_text(stream: IO[bytes]) -> str:
    stream.seek(0)
    return stream.read().decode(errors="replace")


def in_turn(commands: Sequence[Command], rounds: int) -> list[dict[str, Sample]]:
    """`rounds` times a sample of each command, by its name, after an unmeasured round; every other one goes backwards.

    Two commands give pairs. More than two share what is common to them, such as a slow other side.
    """
    measured: list[dict[str, Sample]] = []
    for number in range(rounds + 1):
        samples = {command.name: measure(command) for command in commands[:: 1 if number % 2 == 0 else -1]}
        times = ", ".join(f"{samples[command.name].seconds:.2f} s" for command in commands)
        print(f"  round {number or 'to warm up'}: {times}", file=sys.stderr)
        if number > 0:
            measured.append(samples)
    return measured


def machine() -> dict[str, Any]:
    """The processor, its cores that this process may use, and the system."""
    processor = platform.processor() or platform.machine()
    description = Path("/proc/cpuinfo")
    if description.exists():
        names = [line.split(":", 1)[1].strip() for line in description.read_text().splitlines() if "model name" in line]
        processor = names[0] if names else processor
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"processor": processor, "cores": cores, "system": platform.system()}


def versions(python: str, modules: Sequence[str], environment: dict[str, str]) -> dict[str, str]:
    """The versions of Python and of some modules as the interpreter `python` imports them."""
    code = (
        "import sys, json, importlib, platform; found = {'python': platform.python_version()};"
        "found |= {name: importlib.import_module(name).__version__ for name in sys.argv[1:]}; print(json.dumps(found))"
    )
    done = subprocess.run(
        [python, "-c", code, *modules], env={**os.environ, **environment}, check=True, capture_output=True, text=True
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def markdown_table(rows: Sequence[tuple[str, ...]]) -> str:
    """Rows of text, the first of them the header, as a table with columns of even width."""
    width = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["| " + " | ".join(cell.ljust(size) for cell, size in zip(row, width, strict=True)) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (size + 2) for size in width) + "|")
    return "\n".join([*lines, ""])


def measured_on() -> dict[str, Any]:
    """Today's date and this machine."""
    return {"date": time.strftime("%Y-%m-%d"), **machine()}


def place(facts: Mapping[str, Any]) -> str:
    """What `measured_on` gave, as text: `AMD EPYC, 2 cores, 2026-11-22`."""
    return f"{facts['processor']}, {facts['cores']} cores, {facts['date']}"


def store(name: str, content: Mapping[str, Any]) -> None:
    """Keeps figures as `results/NAME.json`."""
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(content, indent=1, ensure_ascii=False)
    (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")
