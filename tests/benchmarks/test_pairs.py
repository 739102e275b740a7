from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.pairs import Command, Sample, Spread, alternate, measure, ratios
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
    a, b = (script(tmp_path, f"open({str(order)!r}, 'a').write({name!r})", name) for name in "ab")
    assert len(alternate(a, b, pairs=3)) == 3
    assert order.read_text() == "ab" + "baabba"


def test_ratio_is_taken_within_each_pair() -> None:
    pairs = [(Sample(seconds, 1, ""), Sample(seconds * 3, 1, "")) for seconds in (1.0, 10.0, 2.0)]
    assert ratios(pairs, lambda sample: sample.seconds) == Spread(3.0, 3.0, 3.0)
