"""Images as points in a plane: principal components, t-SNE and nearest neighbours."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA

from fittingroom.evaluation import projection
from fittingroom.evaluation.projection import components, nearest, tsne


def blobs(each: int = 20, groups: int = 3, width: int = 12) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(groups), each)
    return np.asarray(10 * np.eye(width)[labels] + rng.normal(0, 0.3, (len(labels), width)), np.float32), labels


def test_components_are_those_of_scikit_learn() -> None:
    features, _ = blobs()
    points, shares = components(features)
    reference = PCA(12).fit(features)
    assert np.abs(np.abs(points) - np.abs(reference.transform(features))).max() < 1e-3
    assert shares == pytest.approx(reference.explained_variance_ratio_, abs=1e-6)
    assert (points[np.abs(points).argmax(axis=0), np.arange(12)] > 0).all()


@pytest.mark.parametrize("features", [np.ones((5, 3)), np.ones((1, 4)), np.arange(6.0)[:, None], np.full((3, 2), 1e30)])
def test_degenerate_features_still_have_places(features: np.ndarray) -> None:
    points, shares = components(features)
    assert points.shape[1] >= 2
    assert np.isfinite(points).all()
    assert ((shares >= 0) & (shares <= 1)).all()
    assert np.isfinite(tsne(points)).all()


def test_neighbours_are_those_of_a_search_over_all_pairs() -> None:
    features, labels = blobs()
    found = nearest(features, 5)
    apart = np.linalg.norm(features[:, None] - features, axis=-1)
    np.fill_diagonal(apart, np.inf)
    assert np.array_equal(found, apart.argsort(axis=1)[:, :5])
    assert (labels[found] == labels[:, None]).all()


def test_a_copy_is_a_neighbour_and_no_image_is_its_own() -> None:
    assert nearest(np.array([[1, 0], [1, 0], [5, 5]], np.float32)).tolist() == [[1, 2], [0, 2], [0, 1]]
    assert nearest(np.zeros((1, 2), np.float32)).shape == (1, 0)


def test_tsne_keeps_groups_together_tells_its_progress_and_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    features, labels = blobs()
    told: list[tuple[int, int]] = []
    points, _ = components(features)
    placed = tsne(points, lambda done, total: told.append((done, total)))
    assert (labels[nearest(placed, 5)] == labels[:, None]).all()
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1][0] == told[-1][1]
    assert capsys.readouterr().out == ""


def test_images_beyond_those_that_tsne_arranges_are_placed_in_their_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projection, "TSNE_IMAGES", 30)
    features, labels = blobs()
    placed = tsne(components(features)[0])
    assert placed.shape == (60, 2)
    assert (labels[nearest(placed, 1)] == labels[:, None]).all()


def test_many_images_are_compared_with_some_spread_over_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projection, "COMPARED", 20)
    monkeypatch.setattr(projection, "_DISTANCES", 100)
    features, labels = blobs()
    told: list[tuple[int, int]] = []
    found = nearest(features, 5, lambda done, total: told.append((done, total)))
    assert len(np.unique(found)) <= 20
    assert (labels[found] == labels[:, None]).all()
    assert told == [(done, 60) for done in range(5, 61, 5)]
