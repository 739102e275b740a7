"""Runs of Weights & Biases, written offline: nothing leaves this machine before `wandb sync` is called.

Each seed is a run of its own in a group that has the name of the training; of several seeds, one more run has their
mean and spread. W&B is told the recipe and the numbers: not what is printed, no code, no state of the repository, no
name of the machine, no path and no key. `WANDB_MODE=online` sends them at once, to whoever `wandb login` knows.
"""

from __future__ import annotations

import io
import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import wandb

from fittingroom.atomic import storage_errors
from fittingroom.tracking.confusion_image import confusion_picture
from fittingroom.tracking.events import ConfusionCounted, EpochEnds, Event, RunBegins, RunEnds, SeedEnds, SeedsSpread
from fittingroom.tracking.tables import logs_folder

_PROJECT = "fittingroom"


class WandbLog:
    """The events of a run as runs of W&B.

    Args:
        place: the project; empty for `fittingroom`.
        begins: the run.
    """

    def __init__(self, place: str, begins: RunBegins) -> None:
        self._begins = begins
        self._project = place or _PROJECT
        self._folder = logs_folder(begins)
        self._mode = os.environ.get("WANDB_MODE") or "offline"
        with storage_errors(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
        self._runs: dict[str, Any] = {}
        for seed in begins.seeds:
            self._run(f"seed-{seed}")

    @property
    def where(self) -> str:
        """How to send what was written, or where it went."""
        if self._mode != "offline":
            return f"W&B has the project {self._project}."
        folders = " ".join(shlex.quote(str(Path(run.settings.sync_dir))) for run in self._runs.values())
        return f"wandb sync {folders}"

    def write(self, event: Event) -> None:
        """Writes an event into the run that it belongs to."""
        match event:
            case EpochEnds():
                self._run(f"seed-{event.seed}").log({**event.numbers, "epoch": event.epoch})
            case SeedsSpread():
                means = {f"{name}/mean": one.mean for name, one in event.numbers.items()}
                deviations = {f"{name}/deviation": one.deviation or 0.0 for name, one in event.numbers.items()}
                self._run("mean").log({**means, **deviations, "epoch": event.epoch})
            case SeedEnds():
                summary = self._run(f"seed-{event.seed}").summary
                summary.update({**event.numbers, "status": event.status, "weights_sha256": event.weights})
            case ConfusionCounted():
                self._log_picture(event)
            case RunEnds() if "mean" in self._runs:
                self._run("mean").summary.update({f"{name}/mean": one.mean for name, one in event.numbers.items()})
            case _:
                pass

    def close(self) -> None:
        """Ends the runs."""
        for run in self._runs.values():
            run.finish()

    def _run(self, name: str) -> Any:
        if name not in self._runs:
            begins = self._begins
            config: Mapping[str, Any] = {**begins.settings, "dataset": begins.data["name"]}
            counts = {f"{part}_images": count for part, count in begins.data["counts"].items()}
            run = wandb.init(
                project=self._project,
                group=begins.run,
                name=f"{begins.run}/{name}",
                job_type="training",
                dir=str(self._folder.absolute()),
                config={**config, **counts, "seed": name},
                mode="online" if self._mode == "online" else "offline",
                reinit="create_new",
                settings=wandb.Settings(
                    host="",
                    console="off",
                    silent=True,
                    disable_git=True,
                    save_code=False,
                    disable_job_creation=True,
                    x_disable_meta=True,
                    x_disable_stats=True,
                    x_save_requirements=False,
                ),
            )
            run.define_metric("epoch")
            run.define_metric("*", step_metric="epoch")
            self._runs[name] = run
        return self._runs[name]

    def _log_picture(self, event: ConfusionCounted) -> None:
        from PIL import Image

        with Image.open(io.BytesIO(confusion_picture(event.counts, event.classes))) as image:
            held = wandb.Image(image)
        self._run(f"seed-{event.seed}").log({"confusions": held, "epoch": event.epoch})
