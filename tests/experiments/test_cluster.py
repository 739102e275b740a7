"""Experiments on a Ray cluster of two nodes with a core each, all of it on this machine."""

from __future__ import annotations

import hashlib
import signal
import socket
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fittingroom as fr
from fittingroom.errors import DataError, InputError, Interrupted, UnknownNameError
from fittingroom.experiments.experiment import Experiment
from fittingroom.experiments.experiment_progress import ExperimentProgress
from fittingroom.experiments.experiment_store import CellState
from fittingroom.experiments.packed_cell import PackedDataset, train_packed
from fittingroom.experiments.plan import ExperimentPlan
from fittingroom.progress import Progress
from fittingroom.recipes.recipe import Recipe
from fittingroom.runs.layout import SeedFiles
from tests.api.stopping import CtrlCIn, OnlyFirst

BASE = Recipe(name="base", hidden=(8,), dropout=0.1, epochs=2)
MODEL = """
import os, signal, threading, uuid
from pathlib import Path

import keras
import ray

SEEN = Path(__file__).parent / "seen"

def build():
    if ray.is_initialized():
        place = SEEN / ray.get_runtime_context().get_node_id()
        place.mkdir(parents=True, exist_ok=True)
        try:
            (SEEN / "killed").touch(exist_ok=False)
            threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGKILL)).start()
        except FileExistsError:
            pass
        (place / uuid.uuid4().hex).touch()
    layers = [keras.layers.Flatten(), keras.layers.Dense(10, activation="softmax")]
    return keras.Sequential([keras.layers.Input((8, 8)), *layers])
"""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray leaves files open, and JAX warns when Ray starts its processes
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        from ray.cluster_utils import Cluster

        node: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 100 * 2**20, "include_dashboard": False}
        cluster = Cluster(initialize_head=True, head_node_args=node)
        cluster.add_node(num_cpus=1, object_store_memory=100 * 2**20)
        yield cluster.address
        cluster.shutdown()  # type: ignore[no-untyped-call]


def weights(done: Experiment) -> list[str]:
    """SHA-256 of the weights of each cell."""
    assert [cell.status for cell in done.cells] == ["done"] * len(done.cells)
    folders = [cell.folder for cell in done.cells if cell.folder]
    return [
        hashlib.sha256((SeedFiles(folder).folder / "weights.safetensors").read_bytes()).hexdigest()
        for folder in folders
    ]


def check_same_bits(address: str, tmp_path: Path, sizes: list[int], seeds: int) -> None:
    def done(name: str, sizes: list[int], seeds: Sequence[int], **options: Any) -> Experiment:
        return fr.experiment("digits", BASE, vary={"hidden": sizes}, seeds=seeds, out=tmp_path / name, **options)

    local, handler = done("local", sizes, range(seeds)), signal.getsignal(signal.SIGTERM)
    remote = done("ray", sizes, range(seeds), executor="ray", address=address)
    assert signal.getsignal(signal.SIGTERM) is handler
    for size in sizes:
        for seed in range(seeds):
            done("alone", [size], [seed])
    alone = done("alone", sizes, range(seeds))
    assert weights(local) == weights(remote) == weights(alone)
    assert local.epochs_csv.read_bytes() == remote.epochs_csv.read_bytes() == alone.epochs_csv.read_bytes()


@pytest.mark.slow
def test_local_and_ray_and_one_cell_at_a_time_give_the_same_bits(address: str, tmp_path: Path) -> None:
    check_same_bits(address, tmp_path, [8], 2)


@pytest.mark.slow
def test_twelve_cells_are_the_same_bits_wherever_they_are_trained(address: str, tmp_path: Path) -> None:
    check_same_bits(address, tmp_path, [4, 8], 6)


@pytest.mark.slow
def test_a_killed_worker_loses_no_cell_and_both_nodes_are_busy(address: str, tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(MODEL)
    recipe = BASE.changed(model=f"{tmp_path / 'model.py'}:build")
    local = fr.experiment("digits", recipe, seeds=3, out=tmp_path / "local")
    remote = fr.experiment("digits", recipe, seeds=3, out=tmp_path / "ray", executor="ray", address=address)
    assert remote.epochs_csv.read_bytes() == local.epochs_csv.read_bytes()
    assert all(cell.status == "done" for cell in remote.cells)
    nodes = [path for path in (tmp_path / "seen").iterdir() if path.is_dir()]
    assert len(nodes) == 2
    builds = sum(len(list(node.iterdir())) for node in nodes)
    assert builds > 3  # what was killed was begun again


@pytest.mark.slow
def test_what_was_stopped_locally_is_finished_and_the_cluster_trains_the_rest(address: str, tmp_path: Path) -> None:
    class CtrlC(ExperimentProgress):
        def training(self, name: str, cells: int) -> Progress:
            del name, cells
            return OnlyFirst(CtrlCIn(0))

    whole = fr.experiment("digits", BASE, seeds=3, out=tmp_path / "whole")
    with pytest.raises(Interrupted):
        fr.experiment("digits", BASE, seeds=2, out=tmp_path / "one", progress=CtrlC())
    done = fr.experiment("digits", BASE, seeds=3, out=tmp_path / "one", executor="ray", address=address)
    assert done.epochs_csv.read_bytes() == whole.epochs_csv.read_bytes()
    assert len(list((tmp_path / "one" / "runs").iterdir())) == 2


@pytest.mark.slow
def test_ctrl_c_keeps_what_has_come_back_and_the_same_call_continues(address: str, tmp_path: Path) -> None:
    class CtrlCAfterOne(ExperimentProgress):
        def state(self, states: Sequence[CellState]) -> None:
            if any(state.status == "done" for state in states):
                raise KeyboardInterrupt

    asked: dict[str, Any] = {"seeds": 3, "out": tmp_path / "one", "executor": "ray", "address": address}
    with pytest.raises(Interrupted, match="stopped with 1 of 3 cells done"):
        fr.experiment("digits", BASE, **asked, progress=CtrlCAfterOne())
    done = fr.experiment("digits", BASE, **asked)
    assert len(weights(done)) == 3
    assert len(list((tmp_path / "one" / "runs").iterdir())) == 3


@pytest.mark.slow
def test_a_cell_that_fails_there_is_reported_with_its_reason(address: str, tmp_path: Path) -> None:
    recipe = Recipe(name="sgd", hidden=(8,), activation="linear", optimizer="sgd", learning_rate=1e9, epochs=1)
    done = fr.experiment("digits", recipe, seeds=1, out=tmp_path / "one", executor="ray", address=address)
    assert done.cells[0].status == "failed"
    assert "the loss became NaN" in str(done.cells[0].reason)
    assert not done.cells[0].again


def test_workers_get_all_of_a_dataset_but_the_test_set() -> None:
    whole = fr.load("digits")
    there = PackedDataset.of(whole).unpacked()
    assert ExperimentPlan.of(there, (), ()) == ExperimentPlan.of(whole, (), ())
    assert (len(there.test), there.test.counts()) == (len(whole.test), whole.test.counts())
    assert there.test.fingerprint == whole.test.fingerprint
    with pytest.raises(DataError, match="the test set is not sent to workers"):
        there.test.open("a look")
    arrays = PackedDataset.of(whole).arrays
    assert sum(len(array) for array in arrays[::2]) == len(whole.train) + len(whole.validation or ())
    assert not any(np.shares_memory(array, whole.test._part.images) for array in arrays)


def test_another_model_file_on_a_worker_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text("def build(): raise SystemExit")
    recipe = BASE.changed(model=f"{tmp_path / 'model.py'}:build")
    digest = recipe.digest()
    (tmp_path / "model.py").write_text("def build(): raise NotImplementedError")
    trained = train_packed(PackedDataset.of(fr.load("digits")), recipe, digest, (0,))
    assert trained.files == {}
    assert trained.failure is not None
    assert "is another one on this machine" in trained.failure.reason


def test_without_ray_the_error_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"needs Ray, which is not installed.*pip install 'fittingroom\[ray\]'"):
        fr.experiment("digits", BASE, out=tmp_path / "one", executor="ray")


def test_an_address_where_nobody_listens_is_an_error_at_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    for address in (f"127.0.0.1:{port}", f"ray://127.0.0.1:{port}"):
        with pytest.raises(InputError, match=rf"no Ray cluster answers at '{address}'.*Expected HOST:PORT"):
            fr.experiment("digits", BASE, out=tmp_path / "one", executor="ray", address=address)


def test_executors_and_addresses_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown executor 'rai'\. Did you mean 'ray'"):
        fr.experiment("digits", BASE, out=tmp_path / "one", executor="rai")
    with pytest.raises(InputError, match="The address 'auto' is for the executor 'ray', not 'local'"):
        fr.experiment("digits", BASE, out=tmp_path / "one", address="auto")
    assert not (tmp_path / "one").exists()
