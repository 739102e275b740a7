"""`recipe_job`: the training of a recipe on a dataset, through the programs that are kept for it."""

from __future__ import annotations

from collections.abc import Sequence

from fittingroom.data.dataset import Dataset
from fittingroom.engine.arrays import Arrays
from fittingroom.engine.callbacks import StopCallback
from fittingroom.engine.devices import prepare_jax
from fittingroom.engine.recipe_programs import RecipeModel
from fittingroom.progress import Progress
from fittingroom.recipes.modelfile import ModelFile
from fittingroom.recipes.recipe import Recipe
from fittingroom.recipes.stop import StopRule
from fittingroom.training.arguments import clamped_batch_size
from fittingroom.training.job import Job, SeedJob, data_record
from fittingroom.training.run_folder import RunFolder


def recipe_job(
    recipe: Recipe,
    dataset: Dataset,
    seeds: Sequence[int],
    folder: RunFolder,
    progress: Progress,
    started: float,
    file: ModelFile | None = None,
) -> Job:
    """The training of a recipe with one seed or several, from its beginning or from where a stopped one continues.

    Args:
        recipe: with a model of its own or of the user's.
        dataset: what to train on.
        seeds: one or more.
        folder: where the training is kept.
        progress: is called as the training proceeds.
        started: the `time.perf_counter()` at which the user's call began.
        file: the user's own model file, where it is not simply the one that the recipe names (see `recipes.modelfile`).

    Raises:
        InputError: the recipe and the dataset do not go together.
        RunError: the checkpoints to continue from are damaged.
    """
    progress.stage("building the model")
    if recipe.model is not None:
        from fittingroom.training.keras_job import ModelTraining  # imports Keras

        file = file or ModelFile.of(recipe.model)
        return ModelTraining.job_of_file(recipe, file, dataset, seeds, folder, progress, started)
    prepare_jax()
    StopRule(recipe.stop, validation=dataset.validation is not None)  # refuses what cannot be known
    batch_size, notes = clamped_batch_size(recipe.batch_size, len(dataset.train))
    recipe = recipe.changed(name=recipe.name, batch_size=batch_size)
    scale = dataset.scale if recipe.scale else 1.0
    model = RecipeModel(recipe, dataset.image_shape, len(dataset.classes), scale, len(dataset.train))
    source = model.programs
    blueprint = source.blueprint()
    train = Arrays.of_part(dataset.train, scale=recipe.scale)
    validation = None if dataset.validation is None else Arrays.of_part(dataset.validation, scale=recipe.scale)

    def seed_job(seed: int, listener: Progress) -> SeedJob:
        resume, resume_notes = folder.earlier(seed, blueprint)
        return SeedJob(
            plan=folder.plan(recipe.epochs, batch_size, seed),
            blueprint=blueprint,
            state=blueprint.initial_state(seed),
            callbacks=[StopCallback(StopRule(recipe.stop, validation=validation is not None))],
            notes=(*dataset.notes, *notes, *_scale_note(recipe, dataset), *resume_notes),
            progress=listener,
            resume=resume,
        )

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
        folder=folder,
        progress=progress,
        started=started,
    )


def _scale_note(recipe: Recipe, dataset: Dataset) -> tuple[str, ...]:
    if recipe.scale:
        return ()
    return (f"The images are not scaled: their values go from 0 to {dataset.scale:g}, not from 0 to 1.",)
