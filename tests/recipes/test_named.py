from __future__ import annotations

import json
from pathlib import Path

import pytest

from fittingroom.errors import RecipeError, UnknownNameError
from fittingroom.recipes.named import NAMED, _MeasuredClaim, find_recipe, read_claims

CLAIM = {
    "dataset": "fashion-mnist",
    "test_accuracies": [0.87, 0.88, 0.89],
    "seconds": 3.14,
    "hardware": "2 cores",
    "versions": {"jax": "0.10.2"},
    "command": "make bench",
}


def test_the_course_has_a_linear_a_plain_and_a_wide_recipe() -> None:
    assert {name: NAMED[name].recipe.hidden for name in ("linear", "course", "wide")} == {
        "linear": (),
        "course": (128,),
        "wide": (512,),
    }


def test_every_recipe_has_the_name_it_is_known_by_and_one_line_about_it() -> None:
    for name, entry in NAMED.items():
        assert entry.recipe.name == name
        assert entry.summary.endswith(".")
        assert "\n" not in entry.summary


@pytest.mark.parametrize("name", NAMED)
def test_named_recipe_survives_toml(name: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(NAMED[name].recipe.to_toml(), encoding="utf-8")
    assert find_recipe(str(path)) == NAMED[name].recipe


def test_claim_states_mean_and_standard_deviation_over_seeds() -> None:
    claim = _MeasuredClaim.from_dict(CLAIM)
    assert claim.mean == pytest.approx(0.88)
    assert claim.spread == pytest.approx(0.01)
    assert (
        claim.text
        == "88.00% ± 1.00 (3 seeds) on the test set of fashion-mnist, 3.1 s on 2 cores; jax 0.10.2; make bench"
    )


def test_one_seed_has_no_spread() -> None:
    assert _MeasuredClaim.from_dict({**CLAIM, "test_accuracies": [0.9]}).spread == 0


def test_claims_come_from_the_file(tmp_path: Path) -> None:
    path = tmp_path / "claims.json"
    assert read_claims(path) == {}
    path.write_text(json.dumps({"course": CLAIM}))
    assert read_claims(path) == {"course": _MeasuredClaim.from_dict(CLAIM)}


def test_every_stored_claim_is_about_a_named_recipe() -> None:
    assert read_claims().keys() <= NAMED.keys()


def test_recipe_is_found_by_name_and_by_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("epochs = 3")
    assert find_recipe("wide") is NAMED["wide"].recipe
    assert find_recipe(str(path)).epochs == 3


def test_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(
        UnknownNameError, match=r"unknown recipe 'curse'. Did you mean 'course'\? Known: linear, course"
    ):
        find_recipe("curse")


def test_missing_recipe_file_says_so() -> None:
    with pytest.raises(RecipeError, match=r"mine.toml cannot be read"):
        find_recipe("nowhere/mine.toml")
