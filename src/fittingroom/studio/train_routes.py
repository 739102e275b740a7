"""The routes of the view `/train`: what can be trained, beginning and ending it, and watching it."""

from __future__ import annotations

from functools import cache
from typing import Any

from fastapi import APIRouter, Depends, Request

from fittingroom.data.catalogue import CATALOGUE
from fittingroom.errors import InputError
from fittingroom.recipes.controls import CONTROLS, as_text, closed_controls, differing, estimated_seconds
from fittingroom.recipes.named import NAMED
from fittingroom.recipes.recipe import Recipe
from fittingroom.reports.drawing.growing import GrowingSeed, growing_figures
from fittingroom.reports.pages.document import harmless, macros
from fittingroom.runs.record import usable_cores
from fittingroom.runs.watched import WatchedSeed
from fittingroom.serving.limits import RefusedError
from fittingroom.studio.changed_images import ChangedImages
from fittingroom.studio.studio import Studio, owner
from fittingroom.studio.training_order import TrainingOrder, receive_dataset, uploaded_datasets
from fittingroom.studio.training_watch import COURSE_STOP, TrainingWatch
from fittingroom.text import duration

_MOST_DRAWN = 400  # points of a line: more than that lie on the same pixels
_COSTLY = 60.0  # seconds


def router(studio: Studio) -> APIRouter:
    """What the view asks for."""
    routes = APIRouter(prefix="/api")
    watch = TrainingWatch(studio)
    changed = ChangedImages(watch)
    may_train = [Depends(owner)]

    @routes.get("/trainings/choices")
    def choices() -> dict[str, Any]:
        """The datasets, recipes and controls to choose from."""
        return {**_choices(), "uploaded": uploaded_datasets(studio.folder)}

    @routes.get("/trainings/sample")
    def sample(dataset: str) -> dict[str, Any]:
        """A picture of each class of a known dataset; `sample` is null for others."""
        return {"sample": changed.sample(dataset)}

    @routes.post("/trainings/check", dependencies=may_train)
    async def check(request: Request) -> dict[str, Any]:
        """What an order would do: its command, its problems, what cannot be set with it, how long it takes."""
        return _checked(TrainingOrder.read(await _json(request)))

    @routes.get("/trainings")
    def running() -> dict[str, Any]:
        """What is trained at this moment: names of runs, or of tickets, the newest first."""
        return {"running": watch.running()}

    @routes.post("/trainings", dependencies=may_train)
    async def begin(request: Request) -> dict[str, Any]:
        """Begins a training; `name` is what it is asked for by."""
        order = TrainingOrder.read(await _json(request))
        ticket = watch.trainings.begin(order.arguments())
        studio.events.publish("training", {"name": ticket.name, "run": None})
        return {"name": ticket.name}

    @routes.post("/trainings/{name}/stop", dependencies=may_train)
    def stop(name: str) -> dict[str, Any]:
        """Asks it to stop; it keeps what is finished."""
        watch.resolve(name)
        watch.trainings.stop(name)
        return {"name": name}

    @routes.post("/trainings/{name}/continue", dependencies=may_train)
    def resume(name: str) -> dict[str, Any]:
        """Continues what was stopped."""
        run, _ = watch.resolve(name)
        if run is None:
            raise RefusedError(409, "no_run", "It was stopped before it had begun to train. Train it again.")
        ticket = watch.trainings.resume(run)
        studio.events.publish("training", {"name": ticket.name, "run": run})
        return {"name": ticket.name}

    @routes.get("/trainings/{name}")
    def training(name: str, ghost: str | None = None, seed: int | None = None) -> dict[str, Any]:
        """The state of a training, its numbers, and its curves as figures; those of another run behind them."""
        found = watch.facts(name, seed)
        run = found["run"]
        curves = {} if run is None else _curves(watch, run, ghost)
        order = None if run is None else _order_of(watch, run)
        return {**found, "curves": curves, "order": order, "command": _command(watch, name)}

    @routes.get("/trainings/{name}/changed")
    def images(name: str, seed: int, epoch: int | None = None, most: int = 24) -> dict[str, Any]:
        """Which images became right and wrong in an epoch; `changed` is null where nothing is known of them."""
        run, _ = watch.resolve(name)
        return {"changed": None if run is None else changed.facts(run, seed, epoch, max(1, most))}

    @routes.post("/trainings/data", dependencies=may_train)
    async def upload(request: Request, called: str = "upload.zip") -> dict[str, Any]:
        """Takes a ZIP of class folders; `place` is then the dataset."""
        return await receive_dataset(studio, request.stream(), called)

    return routes


async def _json(request: Request) -> Any:
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > 2**16:
            raise RefusedError(413, "too_large", "Expected a few settings; the request is larger than 64 kB.")
    try:
        import json

        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise RefusedError(400, "no_json", "The request holds no JSON.") from error


@cache
def _choices() -> dict[str, Any]:
    return {
        "datasets": [
            {
                "name": name,
                "title": entry.info.title,
                "classes": len(entry.classes),
                "images": entry.train_size,
                "shape": list(entry.image_shape),
                "about": entry.info.about,
            }
            for name, entry in CATALOGUE.items()
        ],
        "recipes": [
            {
                "name": name,
                "summary": entry.summary,
                "values": {control.key: as_text(getattr(entry.recipe, control.key)) for control in CONTROLS},
                "stop": list(entry.recipe.stop),
            }
            for name, entry in NAMED.items()
        ],
        "controls": [control.to_dict() for control in CONTROLS],
        "course_stop": COURSE_STOP,
    }


def _checked(order: TrainingOrder) -> dict[str, Any]:
    problems = order.problems()
    if problems:
        return {"problems": problems, "closed": {}, "command": None, "python": None, "seconds": None, "takes": None}
    size, recipe = order.size(), order.changed
    seconds = None
    if size is not None:
        images, shape, classes = size
        seconds = estimated_seconds(recipe, images, shape, classes, seeds=order.seeds, cores=usable_cores())
    return {
        "problems": {},
        "closed": closed_controls(recipe),
        "command": order.command(),
        "python": order.python(),
        "seconds": seconds,
        "takes": None if seconds is None else duration(seconds),
        "costly": seconds is not None and seconds > _COSTLY,
    }


def _curves(watch: TrainingWatch, run: str, ghost: str | None) -> dict[str, str]:
    """The figures of loss and accuracy as HTML."""
    seeds = watch.seeds(run)
    earlier = []
    if ghost and ghost != run:
        name, _ = watch.resolve(ghost)
        earlier = [] if name is None else [_drawn(one) for one in watch.seeds(name)]
    planned = max([one.epochs for one in seeds], default=1)
    figures = growing_figures([_drawn(one) for one in seeds], planned, earlier, str(harmless(ghost or "")))
    figure = macros("plots.html").figure
    return {quantity: str(figure(one, quantity, quantity.capitalize())) for quantity, one in figures.items()}


def _drawn(seed: WatchedSeed) -> GrowingSeed:
    every = sorted(seed.rows)
    step = -(-len(every) // _MOST_DRAWN) or 1
    kept = {epoch for place, epoch in enumerate(every) if place % step == 0 or place == len(every) - 1}
    points = seed.points[:: -(-len(seed.points) // _MOST_DRAWN) or 1]
    return GrowingSeed({epoch + 1: seed.rows[epoch] for epoch in every if epoch in kept}, points, seed.reach)


def _order_of(watch: TrainingWatch, run: str) -> dict[str, Any] | None:
    """What to order for a training like this one; None where pages cannot order it, as one of `fit`."""
    about = watch.about(run)
    name = "" if about is None else str(about.recipe.get("name", "")).rstrip("+")
    if about is None or about.data.load is None or name not in NAMED:
        return None
    own = NAMED[name].recipe
    try:
        settings = dict(differing(Recipe.from_dict(about.recipe), own))
    except InputError:
        return None
    stop = [text for text in settings.pop("stop", "").split(",") if text and text not in own.stop]
    dataset = str(about.data.load.get("name", about.data.name)).removeprefix("folder:")
    return {"dataset": dataset, "recipe": name, "settings": settings, "seeds": len(about.seeds), "stop": stop}


def _command(watch: TrainingWatch, name: str) -> str | None:
    """The command line that began a training, where it was begun here."""
    import shlex

    run, ticket = watch.resolve(name)
    if ticket is None and run is not None:
        ticket = watch.trainings.ticket_of(run)
    return None if ticket is None else shlex.join(["fittingroom", *ticket.arguments])
