"""What a whole audit of Fashion-MNIST with `course` takes, check by check.

`python -m benchmarks.audit_time` trains `course`, and makes all checks in this process with an empty cache of audits.
It prints Markdown. Core time counts the threads of this process.
"""

from __future__ import annotations

import os
import resource
import tempfile
import time
from pathlib import Path

import fittingroom as fr
from fittingroom.audits.checks import CHECKS


def main() -> None:
    """Prints a row for each check, and one for all."""
    with tempfile.TemporaryDirectory() as folder:
        data = fr.load("fashion-mnist")  # read before the cache is an empty one
        os.environ["FITTINGROOM_CACHE_DIR"] = str(Path(folder, "cache"))
        run = fr.train(data, out=Path(folder, "run"))
        print("| check | verdict | time | core time | largest memory so far |")
        print("|---|---|---|---|---|")
        start, core = time.perf_counter(), time.process_time()
        for check in CHECKS:
            one, other = time.perf_counter(), time.process_time()
            (result,) = run.audit(only=check).results
            _row(check, result.verdict, time.perf_counter() - one, time.process_time() - other)
        _row("all", "", time.perf_counter() - start, time.process_time() - core)


def _row(check: str, verdict: str, seconds: float, cores: float) -> None:
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"| {check} | {verdict} | {seconds:.0f} s | {cores:.0f} s | {memory:.2f} GB |", flush=True)


if __name__ == "__main__":
    main()
