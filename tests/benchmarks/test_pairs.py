from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.pairs import Command, Spread, in_turn, measure
from tests.contracts.source import ROOT


def script(folder: Path, code: str, name: str = "side") -> Command:
    return Command(name, (sys.executable, "-c", code), {"GREETING": "hello"}, folder)


def test_sample_holds_the_output_and_the_time(tmp_path: Path) -> None:
    sample = measure(script(tmp_path, "import os, time; time.sleep(0.2); print(os.environ['GREETING'], os.getcwd())"))
    assert sample.output == f"hello {tmp_path}\n"
    assert 0.2 < sample.seconds < 20


def test_peak_is_that_of_the_largest_process_waited_for(tmp_path: Path) -> None:
    line = f"{sys.executable} -c 'bytearray(300 * 2**20)' && {sys.executable} -c pass"
    # From a process of its own: the tests' is larger than the peak that is looked for.
    code = (
        "import pathlib, sys; from benchmarks.pairs import Command, measure;"
        "print(measure(Command('two', ('sh', '-c', sys.argv[1]), {}, pathlib.Path(sys.argv[2]))).peak_mib)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, line, tmp_path], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert 300 < float(done.stdout) < 400


def test_failure_shows_what_the_command_said(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"(?s)side ended with status 3:.*no data"):
        measure(script(tmp_path, "import sys; print('no data', file=sys.stderr); sys.exit(3)"))


def test_sides_take_turns_and_the_warm_up_is_not_counted(tmp_path: Path) -> None:
    order = tmp_path / "order"
    commands = [script(tmp_path, f"open({str(order)!r}, 'a').write({name!r})", name) for name in "abc"]
    rounds = in_turn(commands, rounds=3)
    assert [set(samples) for samples in rounds] == [{"a", "b", "c"}] * 3
    assert order.read_text() == "abc" + "cba" + "abc" + "cba"


def test_spread_is_the_median_between_the_extremes() -> None:
    assert Spread.of([5.0, 1.0, 2.0]) == Spread(2.0, 1.0, 5.0)
    assert Spread.of([1234.5]).text(" images/s", 1) == "1,234.5 images/s (1,234.5–1,234.5)"
