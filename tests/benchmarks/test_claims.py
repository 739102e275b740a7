from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import claims
from fittingroom.recipes.named import NAMED, read_claims

CLAIM: dict[str, Any] = {
    "dataset": "fashion-mnist",
    "test_accuracies": [0.5],
    "seconds": 1.0,
    "hardware": "2 cores",
    "versions": {},
    "command": "make claims",
}


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where claims go; measuring takes no time and finds no GPU."""
    path = tmp_path / "claims.json"
    monkeypatch.setattr(claims, "CLAIMS", path)
    monkeypatch.setattr(claims, "BUILD", tmp_path / "build")
    monkeypatch.setattr(claims, "has_gpu", lambda: False)
    monkeypatch.setattr(claims, "train_and_evaluate", lambda recipe, seed, folder: (1.0, 0.5))
    monkeypatch.setattr(claims, "versions", lambda *arguments: {})
    return path


def test_every_named_recipe_has_a_budget_of_three_to_five_seeds() -> None:
    assert claims.BUDGETS.keys() == NAMED.keys()
    assert all(3 <= budget.seeds <= 5 for budget in claims.BUDGETS.values())


def test_without_a_gpu_its_recipe_is_left_out_and_said_so(
    stored: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["claims", "best", "cnn"])
    claims.main()
    assert list(read_claims(stored)) == ["cnn"]
    assert "best is for a GPU, and JAX finds none here: not measured" in capsys.readouterr().err


def test_claims_measured_before_an_interruption_are_kept(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored.write_text(json.dumps({"course": CLAIM}))

    def interrupted(recipe: str, seed: int, folder: Path) -> tuple[float, float]:
        del folder
        if (recipe, seed) == ("wide", 2):
            raise KeyboardInterrupt
        return 1.0, seed / 10

    monkeypatch.setattr(claims, "train_and_evaluate", interrupted)
    monkeypatch.setattr(sys, "argv", ["claims", "linear", "wide"])
    with pytest.raises(KeyboardInterrupt):
        claims.main()
    kept = read_claims(stored)
    assert list(kept) == ["course", "linear", "wide"]
    assert kept["linear"].test_accuracies == (0.0, 0.1, 0.2)
    assert kept["wide"].test_accuracies == (0.0, 0.1)

    again: list[tuple[str, int]] = []

    def counted(recipe: str, seed: int, folder: Path) -> tuple[float, float]:
        del folder
        again.append((recipe, seed))
        return 1.0, seed / 10

    monkeypatch.setattr(claims, "train_and_evaluate", counted)
    claims.main()
    assert again == [("wide", 2), ("linear", 3), ("wide", 3), ("linear", 4), ("wide", 4)]
    assert read_claims(stored)["wide"].test_accuracies == (0.0, 0.1, 0.2, 0.3, 0.4)


def test_unknown_recipe_is_refused_before_anything_is_measured(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["claims", "linear", "nothing"])
    with pytest.raises(SystemExit, match=r"no named recipe: nothing; there are linear, course, "):
        claims.main()
    assert not stored.exists()
