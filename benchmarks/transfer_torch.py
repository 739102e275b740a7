"""Transfer learning with the same network in plain PyTorch on a CPU: features computed once, then the part that trains.

Usage: transfer_torch.py PHOTOS WEIGHTS RECIPE

PHOTOS has a folder of photographs for each class, WEIGHTS is the file of EfficientNet-Lite0, and RECIPE a JSON object
with `unfreeze`, `views`, `epochs`, `batch_size`, `learning_rate` and `backbone_rate`. The last line printed is a JSON
object: how many pictures there are, the milliseconds of processor time that decoding and network took for each, and the
seconds of the training.

The photographs are read, cropped and put through the network batch by batch, so that only features are kept, as 16-bit
numbers like ours. It is what a practitioner would write, without a DataLoader, whose processes only add memory on two
cores.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch  # type: ignore[import-not-found] # it is in the peers' environment only
from efficientnet_lite_pytorch import EfficientNet  # type: ignore[import-not-found]
from PIL import Image, ImageOps

SIZE, BATCH = 224, 32


def pictures(paths: list[Path], views: int) -> Iterator[np.ndarray]:
    """Batches of each picture and its views, uint8: mirrored ones, and from the second on windows of it."""
    random = np.random.default_rng(0)
    for start in range(0, len(paths), BATCH):
        batch = []
        for path in paths[start : start + BATCH]:
            with Image.open(path) as picture:
                picture.draft("RGB", (SIZE, SIZE))
                image = ImageOps.fit(picture.convert("RGB"), (SIZE, SIZE), Image.Resampling.BILINEAR)
            batch.append(np.asarray(image))
            for view in range(views):
                changed = image
                if views > 1:
                    side = SIZE * random.uniform(0.7, 1)
                    left, top = random.uniform(0, SIZE - side, 2)
                    box = (left, top, left + side, top + side)
                    changed = image.resize((SIZE, SIZE), Image.Resampling.BILINEAR, box)
                batch.append(np.asarray(ImageOps.mirror(changed) if view % 2 == 0 else changed))
        yield np.stack(batch)


class Frozen(torch.nn.Module):
    """The network up to where training begins; pooled where nothing of it is trained."""

    def __init__(self, network: Any, unfreeze: int) -> None:
        super().__init__()
        self.network, self.pooled = network, unfreeze == 0
        self.blocks = network._blocks[: len(network._blocks) - max(unfreeze - 1, 0)]

    def forward(self, images: Any) -> Any:
        """Features of uint8 images, channels last."""
        network = self.network
        values = (images.permute(0, 3, 1, 2).float() - 127) / 128
        values = network._swish(network._bn0(network._conv_stem(values)))
        for block in self.blocks:
            values = block(values)
        if not self.pooled:
            return values
        return network._swish(network._bn1(network._conv_head(values))).mean((2, 3))


class Trained(torch.nn.Module):
    """The blocks that are trained, and the classifier; batch normalisation uses its moving statistics."""

    def __init__(self, network: Any, unfreeze: int, classes: int) -> None:
        super().__init__()
        self.unfreeze = unfreeze
        if unfreeze:
            self.blocks = network._blocks[len(network._blocks) - (unfreeze - 1) :]
            self.convolution, self.norm, self.activation = network._conv_head, network._bn1, network._swish
        self.classifier = torch.nn.Linear(1280, classes)
        self.eval()

    def forward(self, values: Any) -> Any:
        """Logits."""
        if self.unfreeze:
            for block in self.blocks:
                values = block(values)
            values = self.activation(self.norm(self.convolution(values))).mean((2, 3))
        return self.classifier(values)


def train(model: Trained, features: np.ndarray, labels: np.ndarray, recipe: dict[str, Any]) -> None:
    """Adam with a rate that rises, then falls to 0; a tenth of it for what is pretrained."""
    classifier = set(model.classifier.parameters())
    groups = [
        {"params": list(classifier), "share": 1.0},
        {"params": [each for each in model.parameters() if each not in classifier], "share": recipe["backbone_rate"]},
    ]
    optimizer = torch.optim.Adam([group for group in groups if group["params"]], lr=recipe["learning_rate"])
    loss_of, wanted = torch.nn.CrossEntropyLoss(), torch.from_numpy(labels)
    batch, epochs, random = recipe["batch_size"], recipe["epochs"], np.random.default_rng(1)
    steps, step = epochs * math.ceil(len(labels) / batch), 0
    for _ in range(epochs):
        order = random.permutation(len(labels))
        for start in range(0, len(labels), batch):
            some = np.sort(order[start : start + batch])
            values = torch.from_numpy(features[some, random.integers(features.shape[1], size=len(some))].astype("f4"))
            rate = min(1.0, step / (0.1 * steps)) * (1 + math.cos(math.pi * step / steps)) / 2
            for group in optimizer.param_groups:
                group["lr"] = recipe["learning_rate"] * rate * group["share"]
            loss = loss_of(model(values), wanted[some])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1


def main() -> None:
    """Extracts, trains, and prints what it took."""
    folder, weights, recipe = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
    paths = sorted(path for path in folder.glob("*/*") if path.is_file())
    classes = sorted({path.parent.name for path in paths})
    labels = np.array([classes.index(path.parent.name) for path in paths])
    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    network.eval()
    views, unfreeze = recipe["views"], recipe["unfreeze"]

    started, frozen, parts = time.process_time(), Frozen(network, unfreeze), []
    with torch.inference_mode():
        for batch in pictures(paths, views):
            parts.append(frozen(torch.from_numpy(batch)).numpy().astype("f2"))
    features = np.concatenate(parts)
    features = features.reshape(len(paths), 1 + views, *features.shape[1:])
    extracted, clock = time.process_time() - started, time.perf_counter()

    train(Trained(network, unfreeze, len(classes)), features, labels, recipe)
    count = len(paths) * (1 + views)
    print(
        json.dumps(
            {
                "pictures": count,
                "core_ms_per_picture": 1000 * extracted / count,
                "training_seconds": time.perf_counter() - clock,
            }
        )
    )


if __name__ == "__main__":
    main()
