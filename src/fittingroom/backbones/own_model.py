"""A user's own backbone: a Keras model file, or safetensors of a network that is known here. No code in it is run."""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from fittingroom.atomic import read_file
from fittingroom.backbones.frozen_part import Extractor
from fittingroom.backbones.inverted_residuals import LITE0, Network
from fittingroom.backbones.keras_extractor import KerasExtractor, build_structure
from fittingroom.backbones.lite_extractor import LiteExtractor
from fittingroom.backbones.pretrained_weights import digest_of
from fittingroom.errors import ModelError

if TYPE_CHECKING:
    import keras

Array = np.ndarray[Any, Any]

SUFFIXES = (".keras", ".safetensors", ".h5", ".hdf5", ".pth", ".pt", ".onnx")
"""Ends of file names that are taken for models; only the first two are read."""

_DIGITS = 32  # of a SHA-256
_MOST_BYTES = 2**31
_MOST_STRUCTURE = 2**24


@dataclass(frozen=True)
class OwnExtractor:
    """What runs a user's own backbone, the beginning of its file's SHA-256, and what the user should know of it."""

    extractor: Extractor
    sha256: str
    remarks: tuple[str, ...]


def own_extractor(path: Path, expected: str | None = None) -> OwnExtractor:
    """The backbone in a file.

    Args:
        path: the file.
        expected: 32 digits of its SHA-256, as an `OwnExtractor` gave them before; None for any.

    Raises:
        ModelError: there is no such file, it is another one, or it is not a model that is read here.
    """
    if path.suffix not in (".keras", ".safetensors"):
        raise ModelError(
            f"{path} cannot be a backbone: only Keras's own format (model.save('name.keras')) and safetensors are "
            "read, since other files of models may run code when they are loaded"
        )
    content = _content(path)
    sha256 = hashlib.sha256(content).hexdigest()[:_DIGITS]
    if expected not in (None, sha256):
        raise ModelError(
            f"{path} is not the file that was used before: its SHA-256 begins with {sha256[:8]}, not "
            f"{str(expected)[:8]}. What was trained on the features of one network cannot work with those of another. "
            "Put the old file back, or train again."
        )
    if path.suffix == ".safetensors":
        return OwnExtractor(LiteExtractor(LITE0, SafetensorsFile(path, digest_of(_network_weights(path)))), sha256, ())
    remark = (
        f"{path.name} has no Rescaling or Normalization layer, so it sees pixels of 0 to 255. Where it learned with "
        "others, put keras.layers.Rescaling in front and save it again."
    )
    scaled = _names_scaling(_structure(path, content))
    return OwnExtractor(KerasExtractor(KerasFile(path, sha256)), sha256, () if scaled else (remark,))


@dataclass(frozen=True)
class SafetensorsFile:
    """Weights of EfficientNet-Lite0 in a file of the user's; `LiteWeights`."""

    path: Path
    digest: str

    def load(self, network: Network) -> dict[str, Array]:  # noqa: ARG002 - only one network is known
        """The weights.

        Raises:
            ModelError: the file has changed.
        """
        weights = _network_weights(self.path)
        if digest_of(weights) != self.digest:
            raise _changed(self.path)
        return weights


@dataclass(frozen=True)
class KerasFile:
    """A model in Keras's own format; a `KerasSource`."""

    path: Path
    sha256: str
    input_size: ClassVar[None] = None
    parameters: ClassVar[None] = None
    blocks: ClassVar[None] = None

    @property
    def cache_name(self) -> str:
        """The name of its file in the cache."""
        return f"file-{self.sha256}"

    def build(self) -> keras.Model:
        """The model with its weights, without its classifier.

        Raises:
            ModelError: the file has changed, names what is not Keras's own, or is no model from images to features.
        """
        from fittingroom.backbones.keras_cut import feature_model, without_random_values

        content = _content(self.path)
        if hashlib.sha256(content).hexdigest()[:_DIGITS] != self.sha256:
            raise _changed(self.path)
        structure = without_random_values(_structure(self.path, content))
        try:
            model = build_structure(structure)
            with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(io.BytesIO(content)) as archive:
                weights = Path(folder, "model.weights.h5")
                weights.write_bytes(_member(archive, weights.name, _MOST_BYTES))
                model.load_weights(weights)
            return feature_model(model)
        except Exception as error:  # Keras raises many kinds for what makes no sense
            reason = str(error).partition("\n")[0].rstrip(".")
            raise ModelError(f"{self.path} cannot be a backbone: {reason}.") from error


def _changed(path: Path) -> ModelError:
    return ModelError(f"{path} has changed since it was first read here. Start again with the file as it is now.")


def _content(path: Path) -> bytes:
    try:
        return read_file(path, _MOST_BYTES)
    except OSError as error:
        raise ModelError(f"{path} cannot be read as a backbone: {error.strerror or error}.") from error


def _structure(path: Path, content: bytes) -> dict[str, Any]:
    """What a Keras file says of its model."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            structure = json.loads(_member(archive, "config.json", _MOST_STRUCTURE))
    except (zipfile.BadZipFile, KeyError, ValueError, RecursionError, NotImplementedError, RuntimeError) as error:
        raise ModelError(f"{path} is not a model that Keras saved (model.save('name.keras')): {error}.") from error
    if not isinstance(structure, dict):
        raise ModelError(f"{path} is not a model that Keras saved: its config.json describes nothing.")
    return structure


def _member(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    size = archive.getinfo(name).file_size
    if size > most:
        raise ValueError(f"its {name} has {size:,} bytes, more than the {most:,} that are read")
    return archive.read(name)


def _names_scaling(structure: Any) -> bool:
    if isinstance(structure, list):
        return any(map(_names_scaling, structure))
    if isinstance(structure, dict):
        scaling = structure.get("class_name") in ("Rescaling", "Normalization")
        return scaling or any(map(_names_scaling, structure.values()))
    return False


def _network_weights(path: Path) -> dict[str, Array]:
    """The weights of EfficientNet-Lite0 in a safetensors file, by our names or PyTorch's."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        tensors = load(_content(path))
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path} is not a safetensors file: {str(error)[:100]}.") from error
    try:
        weights = LITE0.from_torch(tensors) if "_conv_stem.weight" in tensors else tensors
        shapes = dict(LITE0.weight_shapes())
        needed = {name for name in shapes if not name.startswith("classifier/")}
        missing, unknown = sorted(needed - weights.keys()), sorted(weights.keys() - shapes.keys())
        if missing or unknown:
            problem = f"it lacks {missing[0]}" if missing else f"it has {unknown[0][:60]}"
            raise ValueError(problem)
        wrong = [name for name, array in weights.items() if array.shape != shapes[name] or array.dtype.kind != "f"]
        if wrong:
            raise ValueError(f"its {wrong[0]} is {weights[wrong[0]].dtype} of shape {weights[wrong[0]].shape}")
    except (KeyError, ValueError) as error:
        raise ModelError(
            f"{path} does not hold the weights of EfficientNet-Lite0, the only network whose safetensors are read "
            f"without a model: {error}. Save another one with its structure: model.save('name.keras')."
        ) from error
    return {name: np.ascontiguousarray(array, np.float32) for name, array in weights.items()}
