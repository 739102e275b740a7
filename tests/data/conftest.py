"""A cache folder for each test, and the real Fashion-MNIST once for all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from fittingroom.data.catalogue import FASHION_MNIST
from fittingroom.data.dataset import Dataset
from fittingroom.data.load import load


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder of the test's own."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("FITTINGROOM_CACHE_DIR", str(folder))
    monkeypatch.delenv("FITTINGROOM_DATA_DIR", raising=False)
    return folder


@pytest.fixture
def opened_by_pillow(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What Pillow has been given to open: nothing while files are refused, since it walks their pieces one by one."""
    given: list[object] = []
    pillow = Image.open

    def heard(file: Any, *arguments: Any, **options: Any) -> Image.Image:
        given.append(file)
        return pillow(file, *arguments, **options)

    monkeypatch.setattr(Image, "open", heard)
    return given


@pytest.fixture(scope="session")
def fashion_mnist_folder() -> Path:
    """The folder with the real files of Fashion-MNIST."""
    folder = FASHION_MNIST.system_folder
    if folder is None or not folder.is_dir():
        pytest.skip("the package dataset-fashion-mnist is not installed")
    return folder


@pytest.fixture(scope="session")
def fashion_mnist_cache(fashion_mnist_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder in which the real Fashion-MNIST has been loaded once."""
    folder = tmp_path_factory.mktemp("fashion-mnist-cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FITTINGROOM_CACHE_DIR", str(folder))
        patch.delenv("FITTINGROOM_DATA_DIR", raising=False)
        load("fashion-mnist", validation=0)
    return folder


@pytest.fixture
def fashion_mnist(fashion_mnist_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """The real Fashion-MNIST with the default validation part, from a warm cache."""
    monkeypatch.setenv("FITTINGROOM_CACHE_DIR", str(fashion_mnist_cache))
    return load("fashion-mnist")
