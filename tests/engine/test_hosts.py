"""One training over several processes: real ones on this machine, equal to one process with as many devices."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jax
import pytest

from fittingroom.engine import hosts
from fittingroom.engine.devices import Sharing, _sharing_devices
from fittingroom.engine.hosts import AgreedStop, Hosts
from fittingroom.engine.programs import Programs
from fittingroom.errors import InputError

TRAINING = ("train", "digits", "--set", "hidden=1024,1024", "batch_size=512")
"""Steps long enough that two devices share them."""


def started(*arguments: str, devices: int) -> subprocess.Popen[str]:
    """The command as a process of its own, with so many devices."""
    return subprocess.Popen(
        [sys.executable, "-m", "fittingroom", *arguments, "--json"],
        env={**os.environ, "JAX_NUM_CPU_DEVICES": str(devices)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def pair(*arguments: str) -> list[subprocess.Popen[str]]:
    """Two processes with a device each, the leading one first."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    together = (*arguments, "--coordinator", address, "--num-processes", "2", "--process-id")
    return [started(*together, str(index), devices=1) for index in range(2)]


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    try:
        printed, said = process.communicate(timeout=240)
    finally:
        process.kill()
    return process.returncode, printed, said


def weights(run: Path) -> bytes:
    return (run / "seed-0" / "weights.safetensors").read_bytes() + (run / "seed-0" / "history.csv").read_bytes()


def test_two_processes_train_to_the_bit_what_one_with_two_devices_trains(tmp_path: Path) -> None:
    options = (*TRAINING, "--epochs", "2", "--out")
    alone = started(*options, str(tmp_path / "alone"), devices=2)
    (status, printed, said), (other, follows, _) = map(ended, pair(*options, str(tmp_path / "together")))
    assert (status, other) == (0, 0), said
    assert ended(alone)[0] == 0
    assert weights(tmp_path / "together") == weights(tmp_path / "alone")
    assert json.loads(printed)["run"] == str(tmp_path / "together")
    assert json.loads(follows) == {"process": 1, "processes": 2, "run": None}
    record = json.loads((tmp_path / "together" / "seed-0" / "run.json").read_text())
    assert record["environment"]["devices"] == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("victim", "number"), [(1, signal.SIGKILL), (0, signal.SIGTERM)], ids=["killed", "asked to end"]
)
def test_a_training_that_lost_a_process_continues_to_the_same_bits(
    tmp_path: Path, victim: int, number: signal.Signals
) -> None:
    options = (*TRAINING, "--epochs", "40", "--out")
    run = tmp_path / "run"
    both = pair(*options, str(run))
    until = time.monotonic() + 120
    while not any((run / "seed-0" / "checkpoints").glob("*")) and time.monotonic() < until:
        time.sleep(0.05)
    both[victim].send_signal(number)
    (status, _, said), (other, _, _) = map(ended, both)
    assert status != 0
    assert other != 0
    if number == signal.SIGKILL:
        assert "Another of the 2 processes ended" in said
        assert "--resume" in said
    else:
        assert "asked to end by SIGTERM" in said
    (status, _, said), (other, _, _) = map(ended, pair("train", "--resume", str(run)))
    assert (status, other) == (0, 0), said
    assert ended(started(*options, str(tmp_path / "alone"), devices=2))[0] == 0
    assert weights(run) == weights(tmp_path / "alone")


@pytest.mark.slow
def test_processes_that_train_something_else_are_refused(tmp_path: Path) -> None:
    first, second = pair("train", "digits", "--out", str(tmp_path / "run"), "--seeds", "2")
    for status, _, said in map(ended, (first, second)):
        assert status == 2
        assert "2 processes share one training, and 2 seeds were asked for" in said
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("coordinator", "count", "index", "says"),
    [
        ("here", 2, 0, "expected HOST:PORT, the host of process 0"),
        ("here:0", 2, 0, "expected HOST:PORT"),
        ("here:99999", 2, 0, "expected HOST:PORT"),
        ("here:1", None, 0, r"needs --num-processes \(or JAX_NUM_PROCESSES\)"),
        ("here:1", 2, None, r"needs --process-id \(or JAX_PROCESS_ID\)"),
        ("here:1", 2, 2, "--process-id 2; expected 0 to 1"),
        ("here:1", 2, 1, "JAX runs already in this process"),
    ],
)
def test_what_does_not_join_is_said(coordinator: str, count: int | None, index: int | None, says: str) -> None:
    jax.devices()
    with pytest.raises(InputError, match=says):
        Hosts.join(coordinator, count, index)


def test_numbers_come_from_the_environment_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAX_NUM_PROCESSES", "2")
    monkeypatch.setenv("JAX_PROCESS_ID", "5")
    with pytest.raises(InputError, match="--process-id 5; expected 0 to 1"):
        Hosts.join("here:1", None, None)
    monkeypatch.setenv("JAX_PROCESS_ID", "one")
    with pytest.raises(InputError, match=r"JAX_PROCESS_ID='one'; expected a whole number\. --process-id says it, too"):
        Hosts.join("here:1", None, None)


def test_several_seeds_and_classifiers_of_scikit_learn_are_not_shared() -> None:
    with pytest.raises(InputError, match="fittingroom experiment --executor ray"):
        Hosts(0, 2).check((0, 1), estimator=False)
    with pytest.raises(InputError, match="trains in one process"):
        Hosts(0, 2).check((0,), estimator=True)


class NoPrograms:
    """A source that is never asked for a program."""

    def on(self, devices: int) -> NoPrograms:
        return self

    def compile(self, name: str, arguments: object) -> Any:
        raise AssertionError(name)


def test_all_processes_stop_at_the_step_at_which_they_agree(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    programs = Programs(NoPrograms())
    stop = AgreedStop(programs)
    assert programs.keeps_pace
    with stop.listening():
        assert "too short, or its batch has no equal parts" in caplog.text
    monkeypatch.setattr(hosts, "_gathered", lambda value: [value, 0])
    stop.receive(signal.SIGTERM, None)
    assert not stop
    stop.agree()
    assert stop.reason == "asked to end by SIGTERM"
    with pytest.raises(KeyboardInterrupt):
        stop.receive(signal.SIGTERM, None)
    other = AgreedStop(Programs(NoPrograms()))
    monkeypatch.setattr(hosts, "_gathered", lambda value: [value, 1])
    other.agree()
    assert other.reason == "interrupted by Ctrl-C"


def test_each_process_gives_as_many_devices_to_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    work, weights = 10**12, 1000
    assert _sharing_devices(work, weights, 24, 8) == 8
    monkeypatch.setattr(jax, "process_count", lambda: 3)
    assert _sharing_devices(work, weights, 24, 9) == 6
    assert _sharing_devices(work, weights, 20, 9) == 1
    assert Sharing.available() == 3 * jax.local_device_count()
