"""What a server tells anybody of a run on a folder of pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

import fittingroom as fr
from fittingroom.recipes.named import NAMED
from fittingroom.serving.served_model import ServedModel
from tests.data.builders import write_picture_folder


def test_nobody_is_told_in_which_folders_the_pictures_lie(tmp_path: Path) -> None:
    folder = write_picture_folder(tmp_path / "pictures", {"hats": 40, "shoes": 40})
    recipe = NAMED["linear"].recipe.changed(epochs=1)
    run = fr.train(fr.load(folder, image_size=(8, 8)), recipe, out=tmp_path / "run")
    model = ServedModel.of(run)
    answers = run.answer(np.random.default_rng(0).integers(0, 255, (8, *model.data.image_shape), np.uint8))
    facts = model.card()
    assert facts["dataset"]["name"] == "folder:pictures"
    told = json.dumps([facts, [answer.why for answer in answers]])
    assert str(tmp_path) not in told
