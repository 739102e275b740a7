"""Trains the network of a recipe as a plain PyTorch loop on a CPU, in the form that is fastest there.

Usage: python -m benchmarks.cnn_torch FOLDER [bfloat16]

FOLDER holds what `benchmarks.keras_fit` takes; the network is read from the Keras model in it. Needs PyTorch alone.
Channels last, the fused AdamW, batches by indexing; with `bfloat16`, under PyTorch's own autocast. Images are not
augmented, which spares this side that work. Prints the seconds of each epoch as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch  # type: ignore[import-not-found] # it is in the peers' environment only

from benchmarks.course_torch import read


def layers(description: dict[str, Any]) -> Iterator[Any]:
    """The layers of a Keras `Sequential` of a recipe, as PyTorch's."""
    height, width, channels = 0, 0, 1
    for layer in description["layers"]:
        kind, settings = layer["class_name"], layer["config"]
        if kind == "InputLayer":
            height, width = settings["batch_shape"][1:3]
        elif kind == "Conv2D":
            yield torch.nn.Conv2d(channels, settings["filters"], 3, padding=1, bias=settings["use_bias"])
            channels = settings["filters"]
        elif kind == "MaxPooling2D":
            yield torch.nn.MaxPool2d(2)
            height, width = height // 2, width // 2
        elif kind == "BatchNormalization":
            yield torch.nn.BatchNorm2d(channels, eps=settings["epsilon"], momentum=1 - settings["momentum"])
        elif kind == "Activation":
            yield torch.nn.ReLU()
        elif kind == "Flatten":
            yield torch.nn.Flatten()
        elif kind == "Dense":
            yield torch.nn.Linear(height * width * channels, settings["units"])
        elif kind != "Reshape":
            raise ValueError(f"no layer of PyTorch is named for {kind}")


def main() -> None:
    """Trains and prints."""
    folder = Path(sys.argv[1])
    short = "bfloat16" in sys.argv[2:]
    task = json.loads((folder / "task.json").read_text(encoding="utf-8"))
    images, labels = read(folder, "train")
    images = images[:, None].contiguous(memory_format=torch.channels_last)
    model = torch.nn.Sequential(*layers(json.loads(task["model"])["config"])).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05, fused=True)
    loss_of = torch.nn.CrossEntropyLoss()
    times = []
    for _ in range(task["epochs"]):
        start = time.perf_counter()
        right = 0
        for batch in torch.randperm(len(images)).split(task["batch_size"]):
            wanted = labels[batch]
            with torch.autocast("cpu", torch.bfloat16) if short else nullcontext():
                logits = model(images[batch])
                loss = loss_of(logits, wanted)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            right += int((logits.argmax(1) == wanted).sum().item())
        times.append(time.perf_counter() - start)
    print(json.dumps(times))


if __name__ == "__main__":
    main()
