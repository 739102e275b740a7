"""The training of a recipe on a dataset; and `replay`, which trains it again and says whether the same weights come."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from fittingroom.card_html import card
from fittingroom.data.dataset import Dataset, Part
from fittingroom.data.values import Images
from fittingroom.engine.arrays import Arrays
from fittingroom.engine.callbacks import StopCallback
from fittingroom.engine.devices import prepare_jax
from fittingroom.engine.recipe_programs import RecipeModel
from fittingroom.engine.state import State
from fittingroom.engine.trainer import Trainer
from fittingroom.errors import DivergedError, RunError
from fittingroom.progress import Progress, progress_for
from fittingroom.recipes.modelfile import ModelFile, RecordedFile
from fittingroom.recipes.recipe import Recipe
from fittingroom.recipes.stop import StopRule
from fittingroom.runs.layout import SeedFiles, read_layout
from fittingroom.runs.place import find_run
from fittingroom.runs.record import RunRecord
from fittingroom.training.arguments import clamped_batch_size, with_lasting_backbone
from fittingroom.training.job import Job, SeedJob, data_record
from fittingroom.training.run_folder import RunFolder

if TYPE_CHECKING:
    from fittingroom.training.classical_job import ClassicalJob


def recipe_job(  # noqa: PLR0913 - what to train on, how, and where to keep it
    recipe: Recipe,
    dataset: Dataset,
    seeds: Sequence[int],
    folder: RunFolder,
    progress: Progress,
    started: float,
    file: ModelFile | None = None,
    *,
    trust: bool = False,
) -> Job | ClassicalJob:
    """The training of a recipe with one seed or several, from its beginning or from where a stopped one continues.

    Args:
        recipe: with a model of its own or of the user's, or with an estimator.
        dataset: what to train on.
        seeds: one or more.
        folder: where the training is kept.
        progress: is called as the training proceeds.
        started: the `time.perf_counter()` at which the user's call began.
        file: the user's own model file, where it is not simply the one that the recipe names (see `recipes.modelfile`).
        trust: whether an estimator that is code of the user's own may be run.

    Raises:
        InputError: the recipe and the dataset do not go together.
        RunError: the checkpoints to continue from are damaged.
    """
    if recipe.estimator is not None:
        from fittingroom.training.classical_job import ClassicalJob  # imports neither scikit-learn's classes nor Keras

        return ClassicalJob.of(recipe, dataset, seeds, folder, progress, started, trust=trust)
    progress.stage("building the model")
    if recipe.model is not None:
        from fittingroom.training.keras_job import ModelTraining  # imports Keras

        file = file or ModelFile.of(recipe.model)
        return ModelTraining.job_of_file(recipe, file, dataset, seeds, folder, progress, started)
    prepare_jax()
    StopRule(recipe.stop, validation=dataset.validation is not None)  # refuses what cannot be known
    batch_size, notes = clamped_batch_size(recipe.batch_size, len(dataset.train))
    recipe = with_lasting_backbone(recipe.changed(name=recipe.name, batch_size=batch_size))
    scale = dataset.scale if recipe.scale else 1.0
    model = RecipeModel(recipe, dataset.image_shape, len(dataset.classes), scale, len(dataset.train))
    if recipe.backbone is not None:
        from fittingroom.engine.transfer import check_memory

        held_out = 0 if dataset.validation is None else len(dataset.validation)
        check_memory(recipe, model.input_shape, len(dataset.train), held_out)
    train, validation = _arrays(model, dataset, progress)
    answered = None if validation is None else _as_answered(model, dataset, validation, progress)
    progress.stage("building the model")
    source = model.programs
    blueprint = source.blueprint()

    def seed_job(seed: int, listener: Progress) -> SeedJob:
        resume, resume_notes = folder.earlier(seed, blueprint)
        return SeedJob(
            plan=folder.plan(recipe.epochs, batch_size, seed),
            blueprint=blueprint,
            state=model.initial_state(blueprint, seed),
            callbacks=[StopCallback(StopRule(recipe.stop, validation=validation is not None))],
            notes=(
                *dataset.notes,
                *notes,
                *_scale_note(recipe, dataset),
                *_backbone_notes(recipe, dataset),
                *_precision_note(recipe, dataset),
                *resume_notes,
            ),
            progress=listener,
            resume=resume,
        )

    def begins(trainer: Trainer, state: State, at_once: int) -> None:
        if recipe.unfreeze:
            from fittingroom.engine.transfer import say_how_long

            say_how_long(trainer, state, at_once, len(seeds))

    return Job(
        recipe=recipe.to_dict(),
        data=data_record(dataset, train, validation),
        dataset=dataset,
        train=train,
        validation=validation,
        seeds=[seed_job(*pair) for pair in zip(seeds, progress.for_seeds(seeds), strict=True)],
        source=lambda: source,
        traced=lambda: model.trace()[1],
        views=model.views,
        answered=answered,
        begins=begins,
        folder=folder,
        progress=progress,
        started=started,
    )


def _arrays(model: RecipeModel, dataset: Dataset, progress: Progress) -> tuple[Arrays, Arrays | None]:
    """The training and validation images as the programs take them: with a backbone's frozen part, their features."""

    def arrays(part: Part, *, copies: int = 0) -> Arrays:
        if model.frozen is None:
            return replace(Arrays.of_part(part), scale=model.input_scale)
        # Not by way of `of_part`: the images of a large folder stay in a file, and no step needs them.
        features = _kept_features(model, part.images, progress, copies=copies)
        return Arrays(features, part.labels, scale=model.input_scale, files=part.files)

    train = arrays(dataset.train, copies=model.recipe.views)
    if model.recipe.class_weight is not None:
        from fittingroom.engine.user_arrays import ClassWeight

        train = ClassWeight("balanced").applied_to(train)
    return train, None if dataset.validation is None else arrays(dataset.validation)


def _as_answered(model: RecipeModel, dataset: Dataset, validation: Arrays, progress: Progress) -> Array:
    """The validation images as the program that answers takes them: features with those of the mirror image."""
    if model.frozen is None or model.views == 1 or dataset.validation is None:
        return validation.images
    from fittingroom.engine.transfer import MirroredImages

    mirror = _kept_features(model, cast(Images, MirroredImages(dataset.validation.images)), progress)
    return np.stack([validation.images, mirror], axis=1)


def _kept_features(model: RecipeModel, images: Images, progress: Progress, *, copies: int = 0) -> Array:
    """The features of images, and of so many changed copies of each, from the cache as far as it has them."""
    from fittingroom.backbones.feature_cache import cached_features
    from fittingroom.backbones.views import Views

    assert model.frozen is not None
    views = Views(model.recipe.augment, copies) if copies else None
    return cached_features(model.frozen, model.pixels(images), views=views, progress=progress)


def _backbone_notes(recipe: Recipe, dataset: Dataset) -> tuple[str, ...]:
    """What a user should know before these images meet the recipe's backbone."""
    if recipe.backbone is None:
        return ()
    from fittingroom.backbones.backbone import find_backbone

    return find_backbone(recipe.backbone).notes(dataset.image_shape)


_LONG_TRAINING = 100_000  # images, over all epochs; below that, nobody waits for long


def _precision_note(recipe: Recipe, dataset: Dataset) -> tuple[str, ...]:
    """Says what would be faster, where a long training of convolutions meets a processor that has the units for it."""
    if not recipe.convolutions or recipe.precision != "float32" or len(dataset.train) * recipe.epochs < _LONG_TRAINING:
        return ()
    from fittingroom.engine.onednn import has_units_for_bfloat16

    if not has_units_for_bfloat16():
        return ()
    return ("This processor has units for 16 bits: with --set precision=mixed_bfloat16 it trains faster.",)


def _scale_note(recipe: Recipe, dataset: Dataset) -> tuple[str, ...]:
    if recipe.scale:
        return ()
    return (f"The images are not scaled: their values go from 0 to {dataset.scale:g}, not from 0 to 1.",)


Array = np.ndarray[Any, Any]

_HASH = (32,)  # of what a classifier answered that cannot be kept (`fitted_seed.py`)


@dataclass(frozen=True)
class SeedReplay:
    """What came of one seed when it was trained again.

    Args:
        seed: which one.
        same: whether every bit of the weights and of the history is the same.
        numbers: how many numbers the weights are.
        largest_difference: between two weights; None where their shapes differ.
        first_epoch: the first epoch, from 1, whose numbers differ; None where only the weights do, or nothing.
        kept: of a classifier of scikit-learn's, whether the classifier itself is compared, and not its answers alone;
            None for a network.
    """

    seed: int
    same: bool
    numbers: int
    largest_difference: float | None
    first_epoch: int | None
    kept: bool | None = None

    @property
    def sentence(self) -> str:
        """What came of it, without the seed."""
        if self.kept is not None:
            what = "the fitted classifier" if self.kept else "its answers (the classifier itself was not kept)"
            size = f", all {self.numbers:,} bytes of it," if self.kept and self.same else ""
            verb = "is" if self.kept else "are"
            if self.same or self.first_epoch is None:
                return f"{what}{size} {verb} {'the same' if self.same else 'another one, with the same results'}"
            return f"{what} {verb} another one, with other results"
        if self.same:
            return f"all {self.numbers:,} weights and every epoch's numbers are the same"
        if self.largest_difference is None:
            return "the weights have other names or shapes"
        where = "" if self.first_epoch is None else f", first seen in the numbers of epoch {self.first_epoch}"
        return f"weights differ by at most {self.largest_difference:.3g}{where}"


@dataclass(frozen=True)
class Replay:
    """What came of a run when it was trained again.

    Args:
        run: its folder.
        seeds: what came of each seed.
        differences: what differs between then and now, as `what: before, then after`: versions, threads, processor,
            device. It may differ although the weights are the same.
        seconds: how long it took.
    """

    run: Path
    seeds: tuple[SeedReplay, ...]
    differences: tuple[str, ...]
    seconds: float

    @property
    def same(self) -> bool:
        """Whether every bit of every seed is the same."""
        return all(one.same for one in self.seeds)

    def __str__(self) -> str:
        return "\n".join([*(one.sentence for one in self.seeds), self.sentence, *self.differences])

    def _repr_html_(self) -> str:
        facts = [(f"seed {one.seed}", one.sentence) for one in self.seeds]
        facts += [("what differs", one) for one in self.differences]
        return card(self.sentence, facts)

    @property
    def sentence(self) -> str:
        """Whether it is the same."""
        same = "the same, bit for bit" if self.same else "not the same"
        return f"{self.run} trained again in {self.seconds:.1f} s: {same}."

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        each = [asdict(one) for one in self.seeds]
        facts = {"run": str(self.run), "per_seed": each, "differences": list(self.differences)}
        return {**facts, "seconds": self.seconds, "same": self.same}


def replay(
    run: str | Path = "latest",
    *,
    data: str | Dataset | None = None,
    trust: bool = False,
    progress: Progress | None = None,
) -> Replay:
    """Trains the recipe of a run again, with its seeds and as many epochs, and compares. The run is not changed.

    On the same machine with the same versions the weights are the same to the last bit.

    Args:
        run: the folder, the name of a run in the runs folder, or `latest`.
        data: where the run's dataset is now, as `fittingroom.load` takes it, or the loaded dataset; None for where it
            was.
        trust: whether the Python file that the model came from may be run again. It is run only if its contents are
            those of the training, and its path and hash are logged first.
        progress: is called as training proceeds; None for a bar on a terminal.

    Raises:
        UnknownNameError: there is no such run.
        RunError: it was trained by `fit`, whose model and callbacks it does not know, or its data have changed (the
            message says which).
    """
    started = time.perf_counter()
    path = find_run(run)
    layout = read_layout(path)
    before = layout.records()
    first = next(iter(before.values()))
    if first.teaching is not None:
        raise RunError(
            f"{path} was taught by photos, and not trained. To see whether it can be repeated, teach its base run "
            f"again (`{first.teach_command(path)}`) and compare the weights of the two runs."
        )
    if "model" not in first.recipe and first.has_epochs:
        raise RunError(
            f"{path} was trained by fit with a model of your own. To see whether it can be repeated, run that program "
            "again and compare the weights of the two runs."
        )
    recipe, file = to_train_again(first.trained_recipe(), first.model_file, trust=trust)
    progress = progress or progress_for()
    with progress, tempfile.TemporaryDirectory() as folder:
        progress.stage("loading")
        dataset = first.data.load_again(data)
        again = Path(folder) / "run"
        epochs = {seed: record.epochs for seed, record in before.items()}
        kept = RunFolder(again, checkpoint_every=10**9, last_epochs=epochs)
        with suppress(DivergedError):  # as the run did; the epochs before are kept
            recipe_job(recipe, dataset, tuple(before), kept, progress, started, file, trust=trust).run()
        repeated = read_layout(again)
        after = repeated.records()
        each = tuple(_compared(seed, layout.folders[seed], folder) for seed, folder in repeated.folders.items())
    return Replay(path, each, _differences(before, after), time.perf_counter() - started)


def to_train_again(recipe: Recipe, recorded: RecordedFile | None, *, trust: bool) -> tuple[Recipe, ModelFile | None]:
    """The recipe of a stored run, and its model file, to be trained again.

    Raises:
        RunError: a part of it is code that may not be run, or that has changed. Nothing of it was run.
    """
    if recipe.estimator is None:
        return recipe, RecordedFile.to_run(recipe.model, recorded, trust=trust)
    from fittingroom.training.fitted_seed import to_fit_again

    return to_fit_again(recipe, recorded, trust=trust), None


def _compared(seed: int, before: Path, after: Path) -> SeedReplay:
    old, new = _weights(before), _weights(after)
    pairs = list(zip(old, new, strict=False))
    comparable = len(old) == len(new) and all(one.shape == other.shape for one, other in pairs)
    same_weights = comparable and all(_bits(one) == _bits(other) for one, other in pairs)
    epochs = zip(SeedFiles(before).history().rows, SeedFiles(after).history().rows, strict=False)
    first = next((number for number, (one, other) in enumerate(epochs, start=1) if repr(one) != repr(other)), None)
    record = SeedFiles(before).record()
    return SeedReplay(
        seed=seed,
        same=same_weights and first is None,
        numbers=sum(array.size for array in old),
        largest_difference=max((_distance(*pair) for pair in pairs), default=0.0) if comparable else None,
        first_epoch=first,
        kept=None if record.has_epochs else old[0].shape != _HASH,
    )


def _weights(run: Path) -> list[Array]:
    """The weights in the model's order; their names have numbers that Keras counts up within a process."""
    weights, model = SeedFiles(run).weights.read(), SeedFiles(run).model()
    return [weights[start["name"]] for group in ("trainable", "non_trainable") for start in model[group]]


def _bits(array: Array) -> tuple[str, bytes]:
    return str(array.dtype), array.tobytes()


def _distance(one: Array, other: Array) -> float:
    return float(np.abs(one.astype(np.float64) - other.astype(np.float64)).max(initial=0.0))


def _differences(before: Mapping[int, RunRecord], after: Mapping[int, RunRecord]) -> tuple[str, ...]:
    """What differs in the environment of any seed."""
    found: Sequence[str] = [
        difference for seed in before for difference in before[seed].environment.differences(after[seed].environment)
    ]
    return tuple(dict.fromkeys(found))
