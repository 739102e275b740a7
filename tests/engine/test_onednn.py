"""Whether oneDNN can be called is tried in another process, and believed only when that process could try."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path
from typing import Any

import pytest

from fittingroom.engine import onednn


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Answers of the processes that try, the next one first; each is taken once."""
    answers: list[Any] = []

    def run(arguments: Any, **options: Any) -> subprocess.CompletedProcess[bytes]:
        del options
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return subprocess.CompletedProcess(arguments, *answer)

    monkeypatch.setenv("FITTINGROOM_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(subprocess, "run", run)
    return answers


def types() -> frozenset[str]:
    """As a new process would find them."""
    return onednn.types_computed.__wrapped__()


def test_what_another_process_found_is_kept(asked: list[Any]) -> None:
    asked.append((0, b"float32\nbfloat16\n"))
    assert types() == types() == {"float32", "bfloat16"}
    assert not asked


def test_a_process_that_was_ended_says_what_went_right_before(asked: list[Any]) -> None:
    asked.append((-4, b"float32\n"))
    assert types() == types() == {"float32"}


@pytest.mark.parametrize("answer", [(1, b""), subprocess.TimeoutExpired("python", 60), OSError("no such program")])
def test_a_process_that_could_not_try_decides_nothing(asked: list[Any], answer: Any) -> None:
    asked += [answer, (0, b"float32\n")]
    assert types() == frozenset()
    assert types() == {"float32"}


def test_other_processors_are_not_asked(asked: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    asked.append(AssertionError("it was asked"))
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert types() == frozenset()
