"""A training that was stopped and went on ends with the bits of one that never stopped."""

from __future__ import annotations

import re
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fittingroom as fr
from fittingroom.api.run import Run
from fittingroom.engine import programs, snapshots
from fittingroom.errors import InputError, Interrupted, RunError, UnknownNameError
from fittingroom.progress import Progress
from fittingroom.recipes.recipe import Recipe
from fittingroom.runs.unfinished import UnfinishedRecord
from tests.api.stopping import Crash, CrashIn, CtrlCIn, OnlyFirst, assert_same_training

EPOCHS = 3
RECIPES = {
    "mlp": Recipe(name="mlp", hidden=(16,), epochs=EPOCHS),
    "network": Recipe(
        name="network",
        convolutions=((4,),),
        hidden=(16,),
        batch_norm=True,
        dropout=0.3,
        augment=("flip", "shift 1"),
        schedule="cosine",
        stop=("val_loss rises 2",),
        epochs=EPOCHS,
    ),
}
SEEDS = (5, 1, 8)  # one more than the cores of a small machine, so that one has to wait


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets a signal be heard within an epoch, and each have a checkpoint, although epochs here take no time."""
    monkeypatch.setattr(programs, "SECONDS_PER_CALL", 1e-6)
    monkeypatch.setattr(snapshots, "TRAINING_PER_SAVING", 0)


def checkpoints_of(run: Path) -> Path:
    """The checkpoints of the first seed."""
    return run / f"seed-{UnfinishedRecord.read(run).seeds[0]}" / "checkpoints"


@pytest.fixture(scope="module", params=RECIPES)
def recipe(request: pytest.FixtureRequest) -> Recipe:
    return RECIPES[request.param]


@pytest.fixture(scope="module")
def whole(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run of a training that was never stopped."""
    return fr.train("digits", recipe, seed=SEEDS[0], out=tmp_path_factory.mktemp("whole") / "run")


@pytest.fixture(scope="module")
def whole_seeds(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The same with several seeds."""
    return fr.train("digits", recipe, seeds=SEEDS, out=tmp_path_factory.mktemp("whole") / "run")


def stopped(recipe: Recipe, progress: Progress, error: type[BaseException], **options: Any) -> None:
    """Begins a training that comes to its end early."""
    with pytest.raises(error):
        fr.train("digits", recipe, progress=progress, **({"seed": SEEDS[0]} | options))


@pytest.mark.parametrize("epoch", range(1, EPOCHS))
def test_continuing_after_a_crash_gives_the_very_same_run(recipe: Recipe, whole: Run, epoch: int) -> None:
    stopped(recipe, CrashIn(epoch), Crash)
    run = fr.resume()
    assert_same_training(run, whole)
    assert f"Training was stopped, and resumed after epoch {epoch}." in run.record.notes


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("epoch", range(EPOCHS))
def test_continuing_after_a_signal_gives_the_very_same_run(
    recipe: Recipe, whole: Run, epoch: int, number: signal.Signals
) -> None:
    stopped(recipe, CtrlCIn(epoch, number), Interrupted)
    assert_same_training(fr.resume(), whole)


@pytest.mark.parametrize("epoch", range(EPOCHS))
def test_continuing_with_seeds_gives_the_very_same_runs(recipe: Recipe, whole_seeds: Run, epoch: int) -> None:
    stopped(recipe, OnlyFirst(CtrlCIn(epoch)), Interrupted, seeds=SEEDS)
    several = fr.resume()
    assert isinstance(several, Run)
    assert several.seeds == SEEDS
    for run, expected in zip(several, whole_seeds, strict=True):
        assert_same_training(run, expected)


def test_continuing_with_several_seeds_after_a_crash_gives_the_very_same_results(
    recipe: Recipe, whole_seeds: Run
) -> None:
    stopped(recipe, OnlyFirst(CrashIn(1)), Crash, seeds=SEEDS)
    for run, expected in zip(fr.resume(), whole_seeds, strict=True):
        assert_same_training(run, expected)


MLP = RECIPES["mlp"]


@pytest.fixture(scope="module")
def whole_mlp(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run of a training of `MLP` that was never stopped."""
    return fr.train("digits", MLP, seed=SEEDS[0], out=tmp_path_factory.mktemp("whole") / "run")


def test_a_training_can_be_stopped_again_and_again(whole_mlp: Run) -> None:
    stopped(MLP, CtrlCIn(0), Interrupted)
    for epoch in range(EPOCHS):
        with pytest.raises(Interrupted):
            fr.resume(progress=CtrlCIn(epoch))
    assert_same_training(fr.resume(), whole_mlp)


def test_rare_checkpoints_train_the_epochs_since_the_last_one_again(whole_mlp: Run) -> None:
    stopped(MLP, CrashIn(2), Crash, checkpoint_every=2)
    run = fr.resume()
    assert "Training was stopped, and resumed after epoch 2." in run.record.notes
    assert_same_training(run, whole_mlp)
    stopped(MLP, CrashIn(2), Crash, checkpoint_every=3)  # an error, unlike a kill, still lets the state be written
    assert_same_training(fr.resume(), whole_mlp)


def test_the_part_that_was_trained_is_a_run_that_can_continue(tmp_path: Path, runs_dir: Path) -> None:
    with pytest.raises(Interrupted, match=r"1 finished epoch is kept in .*Resume it with .*train --resume") as why:
        fr.train("digits", MLP, progress=CtrlCIn(1))
    assert why.value.path is not None
    part = fr.open_run(why.value.path)
    assert (part.record.status, part.record.epochs) == ("interrupted", 1)
    assert part.predict(fr.load("digits").train.images[:2]).shape == (2, 10)
    run = fr.resume(part.path)
    assert run.path == part.path
    assert run.record.status == "finished"
    files = sorted(re.sub(r"-[0-9a-f]{16}\.", ".", path.name) for path in run.path.iterdir())
    assert files == ["images.npz", "run.json", f"seed-{run.seeds[0]}"]


def test_a_training_stopped_in_its_first_epoch_leaves_no_run_but_can_continue() -> None:
    with pytest.raises(Interrupted, match=r"so there is no run. .*Resume it with .*--resume") as why:
        fr.train("digits", MLP, progress=CtrlCIn(0))
    assert why.value.path is None
    with pytest.raises(RunError, match="no run"):
        fr.open_run()
    assert fr.resume().record.epochs == EPOCHS


def test_a_part_that_was_scored_on_the_test_set_is_not_trained_further() -> None:
    stopped(MLP, CtrlCIn(1), Interrupted)
    fr.open_run().evaluate()
    with pytest.raises(RunError, match=r"its test score has been seen.* Train again"):
        fr.resume()


def test_a_run_that_is_being_trained_is_not_trained_or_scored_by_another(tmp_path: Path) -> None:
    stopped(MLP, CtrlCIn(1), Interrupted)
    from fittingroom.runs.place import RunsFolder
    from fittingroom.runs.unfinished import UnfinishedRun

    with UnfinishedRun.reopen(RunsFolder().find_unfinished()):
        with pytest.raises(RunError, match=r"is being trained by process \d+ on .*, since "):
            fr.resume()
        with pytest.raises(RunError, match=r"is being trained further by process \d+"):
            fr.open_run().evaluate()
    fr.resume()


def test_a_training_killed_before_its_first_checkpoint_begins_again_whenever_it_can(
    tmp_path: Path, whole_mlp: Run
) -> None:
    stopped(MLP, CrashIn(1), Crash, out=tmp_path / "run")
    shutil.rmtree(checkpoints_of(tmp_path / "run"))
    with pytest.raises(Crash):  # whatever goes wrong then, it stays as it was
        fr.resume(tmp_path / "run", progress=CrashIn(0))
    run = fr.resume(tmp_path / "run")
    assert_same_training(run, whole_mlp)
    assert "Training was stopped before its first checkpoint, and started again." in run.record.notes


def test_what_is_finished_cannot_continue() -> None:
    run = fr.train("digits", MLP)
    with pytest.raises(RunError, match="has finished"):
        fr.resume(run.path)
    with pytest.raises(UnknownNameError, match="unknown stopped training 'x'"):
        fr.resume("x")


def test_data_that_have_changed_are_refused(tmp_path: Path) -> None:
    import numpy as np

    generator = np.random.default_rng(0)
    arrays = {
        "x_train": generator.integers(0, 255, (200, 8, 8), np.uint8),
        "y_train": np.arange(200, dtype=np.uint8) % 3,
        "x_test": generator.integers(0, 255, (30, 8, 8), np.uint8),
        "y_test": np.arange(30, dtype=np.uint8) % 3,
    }
    np.savez(tmp_path / "data.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(Interrupted):
        fr.train(f"npz:{tmp_path / 'data.npz'}", MLP, progress=CtrlCIn(1))
    arrays["x_train"][0, 0, 0] ^= 1
    np.savez(tmp_path / "data.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(RunError, match="its images or labels have changed"):
        fr.resume()


def newest_state(run: Path) -> Path:
    return max(checkpoints_of(run).glob("*.state"))


def cut(share: float) -> Callable[[bytes], bytes]:
    return lambda content: content[: int(len(content) * share)]


def flipped(share: float) -> Callable[[bytes], bytes]:
    def flip(content: bytes) -> bytes:
        place = int((len(content) - 1) * share)
        return content[:place] + bytes([content[place] ^ (1 << place % 8)]) + content[place + 1 :]

    return flip


def test_any_damage_to_the_newest_checkpoint_is_noticed_and_the_one_before_is_used(runs_dir: Path) -> None:
    """Cut off in 20 places and with 20 single bits flipped; what is read in the end is always the one before."""
    from fittingroom.runs.checkpoints import Checkpoints

    stopped(MLP, CrashIn(2), Crash)
    [run] = runs_dir.iterdir()
    newest = newest_state(run)
    whole = newest.read_bytes()
    for damage in [cut, flipped]:
        for number in range(20):
            newest.write_bytes(damage(number / 20)(whole))
            checkpoint, notes = Checkpoints(checkpoints_of(run).parent).read()
            assert checkpoint.epoch == 1
            assert notes == (f"The checkpoint {newest.name} is not used: it is damaged or missing.",)


@pytest.mark.parametrize("what", ["state", "outcomes"])
def test_a_damaged_checkpoint_costs_an_epoch_and_not_a_bit(what: str, runs_dir: Path, whole_mlp: Run) -> None:
    stopped(MLP, CrashIn(2), Crash)
    [run] = runs_dir.iterdir()
    file = max(checkpoints_of(run).glob(f"*.{what}"))
    file.write_bytes(file.read_bytes()[:-1])
    resumed = fr.resume()
    assert_same_training(resumed, whole_mlp)
    notes = " ".join(resumed.record.notes)
    assert re.search(r"The checkpoint 0000002-00000000\.state is not used: .* damaged or missing\.", notes)
    assert "resumed after epoch 1." in notes


def test_outcomes_that_are_lost_for_good_are_left_out(runs_dir: Path, whole_mlp: Run) -> None:
    stopped(MLP, CrashIn(2), Crash)
    [run] = runs_dir.iterdir()
    (checkpoints_of(run) / "0000000.outcomes").unlink()
    resumed = fr.resume()
    assert isinstance(resumed, Run)
    assert resumed.history == whole_mlp.history
    assert resumed.outcomes is not None
    assert resumed.outcomes.epoch.tolist() == [1, 2]
    assert "The outcomes of some epochs are damaged or missing" in " ".join(resumed.record.notes)


def test_a_training_whose_checkpoints_are_all_damaged_says_so(runs_dir: Path) -> None:
    stopped(MLP, CrashIn(2), Crash)
    [run] = runs_dir.iterdir()
    for file in checkpoints_of(run).glob("*.state"):
        file.write_bytes(b"")
    with pytest.raises(
        RunError, match=r"cannot be resumed: .*0000002-00000000\.state.*0000001-00000000\.state.* Train it again"
    ):
        fr.resume()


def test_what_a_killed_process_left_half_written_is_swept(runs_dir: Path) -> None:
    stopped(MLP, CrashIn(2), Crash)
    [run] = runs_dir.iterdir()
    strays = [run / ".run.json.0.tmp", checkpoints_of(run) / ".0000002-00000000.state.0.tmp"]
    for stray in strays:
        stray.write_bytes(b"half")
    with pytest.raises(Interrupted):
        fr.resume(progress=CtrlCIn(2))
    assert not any(stray.exists() for stray in strays)


def test_other_arguments_than_at_the_beginning_are_refused_by_fit(tmp_path: Path) -> None:
    import keras

    data = fr.load("digits")
    model = keras.Sequential([keras.Input((8, 8)), keras.layers.Flatten(), keras.layers.Dense(10, "softmax")])

    def interrupt() -> keras.callbacks.Callback:
        import os

        return keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: os.kill(os.getpid(), signal.SIGINT))

    with pytest.raises(Interrupted, match=r"call fit with the same arguments and resume="):
        fr.fit(model, data, epochs=3, callbacks=[interrupt()])
    with pytest.raises(RunError, match=r"was begun by fit\. .*resume="):
        fr.resume()
    with pytest.raises(InputError, match="differs in arguments"):
        fr.fit(model, data, epochs=4, callbacks=[interrupt()], resume="latest")
    with pytest.raises(InputError, match="differs in data"):
        fr.fit(model, data.train.x, data.train.y, epochs=3, resume="latest")
    with pytest.raises(InputError, match="The callbacks are none, but the stopped training had LambdaCallback"):
        fr.fit(model, data, epochs=3, resume="latest")
    with pytest.raises(InputError, match=r"out= cannot be given too\. Remove out="):
        fr.fit(model, data, epochs=3, resume="latest", out=tmp_path / "elsewhere")
