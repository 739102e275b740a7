"""A lab as a TOML file, and what is said of one that makes no sense."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fittingroom.errors import RecipeError
from fittingroom.labs.judging import check_arms
from fittingroom.labs.lab import _arm_names_of
from fittingroom.labs.lab_description import EXPECTED, PICTURES, Lab
from fittingroom.labs.lab_description import TEXTS as OURS
from fittingroom.labs.measures import MEASURES
from tests.contracts.source import ROOT
from tests.labs.conftest import CLAIM, EXPERIMENT, PICTURE, TEXTS, WHOLE, Written


def test_all_that_a_lab_can_say_is_read(written: Written) -> None:
    lab = Lab.read(
        written(
            'number = 12\ncourse = "Larger is better."\n'
            + TEXTS.replace('"Because."', '"""\nOne\nline.\n\nAnother.\n"""')
            + '\n[predict]\nask = "And?"\nanswers = ["falls", "rises"]\nclaim = 1\nbounds = [0]\n'
            + '\n[picture]\nkind = "curves"\narms = ["hidden=4"]\ntext = "Look."\n'
            + EXPERIMENT
            + '\n[[code]]\nname = "own"\ndataset = "digits"\ncode = """\nrun = 1\n"""\n'
            + CLAIM
            + '\n[[claim]]\nsays = "It stays."\nmeasure = "loss"\narm = "own"\n'
            + 'than = 0.5\nexpected = "same"\nwithin = 0.1\n'
        )
    )
    assert (lab.name, lab.number, lab.course) == ("sizes", 12, "Larger is better.")
    assert lab.explanation == "One line.\n\nAnother."
    assert lab.predict is not None
    assert (lab.predict.claim, lab.predict.bounds) == (0, (0.0,))
    assert (lab.picture.kind, lab.picture.arms, lab.picture.text) == ("curves", ("hidden=4",), "Look.")
    assert (lab.experiments[0].dataset, lab.experiments[0].experiment.seeds) == ("digits", 2)
    assert (lab.codes[0].name, lab.codes[0].dataset, lab.codes[0].code) == ("own", "digits", "run = 1\n")
    assert [(claim.expected, claim.than, claim.within) for claim in lab.claims] == [
        ("higher", "hidden=4", 0),
        ("same", 0.5, 0.1),
    ]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (WHOLE + "tittle = 3\n", 21, "unknown key of a claim 'tittle'"),
        ("queston = 3\n" + WHOLE, 1, "unknown key of a lab 'queston'. Did you mean 'question'"),
        (WHOLE.replace('"higher"', '"heigher"'), 20, "unknown expectation 'heigher'. Did you mean 'higher'"),
        (WHOLE.replace('measure = "accuracy"', 'measure = "acuracy"'), 17, "unknown measure 'acuracy'. Did you mean"),
        (WHOLE.replace('"hidden=4"', "true"), 19, "than = True: expected the name of an arm, or a number"),
        (WHOLE + "within = 1\n", 21, "within = 1 beside expected = 'higher'"),
        (WHOLE.replace('"higher"', '"same"'), 15, "within = None beside expected = 'same'"),
        (WHOLE.replace('kind = "accuracy"', 'kind = "bars"'), 7, "unknown kind of picture 'bars'"),
        (WHOLE.replace("hidden = [4, 16]", "hiden = [4, 16]"), 13, "unknown key 'hiden' in a recipe"),
        (WHOLE.replace("epochs = 1", "epochs = 0"), 12, "epochs = 0: expected"),
        (WHOLE.replace('"digits"', "3"), 10, "dataset = 3: expected the name of a dataset"),
        (WHOLE.replace('"Which size?"', '""'), 2, "question is empty"),
        (
            WHOLE + "[predict]\nask = 'a'\nanswers = ['b', 'c']\nclaim = 2\nbounds = [0]\n",
            24,
            "claim = 2: expected the",
        ),
        (
            WHOLE + "[predict]\nask = 'a'\nanswers = ['b', 'c']\nclaim = 1\nbounds = [1, 0]\n",
            25,
            "bounds = [1, 0] between",
        ),
        (WHOLE.replace("[[claim]]", "[claim]"), 15, "claim = {"),
    ],
)
def test_what_makes_no_sense_is_refused_with_file_line_and_key(
    written: Written, text: str, line: int, message: str
) -> None:
    path = written(text)
    with pytest.raises(RecipeError, match=f"^{re.escape(f'{path}, line {line}: {message}')}"):
        Lab.read(path)


@pytest.mark.parametrize("part", [EXPERIMENT, CLAIM, PICTURE])
def test_a_part_that_is_left_out_is_named(written: Written, part: str) -> None:
    with pytest.raises(RecipeError, match=r"(a lab needs a \[\[(experiment|claim)\]\]|a lab has no picture)"):
        Lab.read(written(WHOLE.replace(part, "")))


def test_the_labs_of_ours_are_numbered_and_their_claims_are_about_their_arms() -> None:
    found = Lab.all()
    assert [lab.number for lab in found] == list(range(1, 13))
    for lab in found:
        check_arms(lab.claims, _arm_names_of(lab))
        check_arms((), _arm_names_of(lab))
        assert set(lab.picture.arms) <= set(_arm_names_of(lab))
        assert Lab.find(lab.name).path == Lab.find(str(lab.number)).path == lab.path


@pytest.mark.parametrize("path", sorted(OURS.glob("*.toml")), ids=lambda path: path.stem)
def test_texts_of_ours_fit_on_a_screen(path: Path) -> None:
    assert max(map(len, path.read_text(encoding="utf-8").splitlines())) <= 130


def test_the_description_of_the_format_shows_a_lab_and_names_all_measures(written: Written) -> None:
    text = (ROOT / "docs" / "labs-format.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```toml\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    lab = Lab.read(written(example))
    check_arms(lab.claims, _arm_names_of(lab))
    table = text[text.index("| `measure`") :].split("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", "".join(line.split("|")[1] for line in table.splitlines()[2:]))) == set(MEASURES)
    assert all(f"`{kind}`" in text for kind in (*PICTURES, *EXPECTED))
