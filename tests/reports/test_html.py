"""The page as a file: what is in it, what is not, and what it is made from."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

import fittingroom
from fittingroom.cli.main import main
from fittingroom.data.dataset import SealedTestSet
from fittingroom.errors import InputError, StorageError
from fittingroom.evaluation.trajectories import Trajectories
from fittingroom.reports.pages.document import Report, _json_text, harmless
from fittingroom.reports.pages.report_page import report_of
from tests.evaluation.examples import any_trajectories
from tests.reports.builders import contents_of, course_of, written
from tests.reports.pages import block_of, parsed

RISING = [0.4, 1.0, 2.0, 4.0]


@pytest.fixture(autouse=True)
def own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FITTINGROOM_LEDGER", str(tmp_path / "ledger.sqlite"))
    monkeypatch.setenv("FITTINGROOM_RUNS_DIR", str(tmp_path / "runs"))


@pytest.fixture(scope="module")
def rising(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The report of a run whose loss rises, with nothing of note."""
    return report_of([written(tmp_path_factory.mktemp("rising") / "run", contents_of(course_of(RISING)))])


def test_a_page_is_one_file_that_points_only_into_itself(rising: Report) -> None:
    html = rising.html
    assert all(re.match(r"#|data:image/png;", address) for address in parsed(html).addresses)
    assert not re.search(r"@import|url\((?!data:)", html)


def test_the_policy_allows_this_style_and_this_script_and_nothing_else(rising: Report) -> None:
    html = rising.html
    (policy,) = re.findall(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', html)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.replace("&#39;", "'").split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    for element, rule in (("style", "style-src"), ("script", "script-src")):
        texts = re.findall(rf"<{element}>(.*?)</{element}>", html, flags=re.DOTALL)
        hashes = {base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts}
        assert {f"'sha256-{found}'" for found in hashes} == set(rules[rule].split())
    assert not re.search(r"unsafe|https?:", policy)
    assert not re.search(r' (style|on\w+)="', html)


@given(trajectories=any_trajectories())
@settings(deadline=None, max_examples=5)
def test_any_training_has_a_page(trajectories: Trajectories, tmp_path_factory: pytest.TempPathFactory) -> None:
    run = written(tmp_path_factory.mktemp("any") / "run", contents_of(trajectories))
    html = report_of([run]).html
    parsed(html)
    assert block_of(html)["explorer"]["total"] == trajectories.images


def test_a_run_without_pictures_says_why(rising: Report) -> None:
    assert "No pictures: the run was trained on plain arrays" in rising.html
    assert block_of(rising.html)["explorer"]["sheet"] is None


def test_a_run_without_all_probabilities_has_a_page_without_confidence(tmp_path: Path) -> None:
    course = course_of(RISING)
    short = replace(course, log_probabilities=np.zeros((*course.loss.shape, 0), np.float16))
    html = report_of([written(tmp_path / "run", contents_of(short))]).html
    assert 'id="confidence"' not in html
    assert 'id="by-confidence"' not in html
    assert block_of(html)["explorer"]["kept"] == 0


@pytest.mark.slow
def test_a_long_training_has_a_page_that_stays_small(tmp_path: Path) -> None:
    sharpness = [0.4 + epoch / 100 for epoch in range(400)]
    html = report_of([written(tmp_path / "run", contents_of(course_of(sharpness, classes=10)))]).html
    assert len(html.encode()) < 3_000_000
    ledgers = block_of(html)["ledgers"]["to_last"]
    assert 100 <= len(ledgers) <= 125
    assert {1, 400} <= {one["epoch"] for one in ledgers}
    assert len(block_of(html)["explorer"]["index"]) == 150


def test_several_seeds_are_drawn_each_with_their_band(tmp_path: Path) -> None:
    contents = [contents_of(course_of(RISING, seed=0), seed) for seed in range(3)]
    html = report_of([written(tmp_path / "run", *contents)]).html
    assert "3 seeds and their band" in html
    assert ", here for seed " in html


def test_several_runs_need_their_comparison(tmp_path: Path) -> None:
    runs = [written(tmp_path / name, contents_of(course_of(RISING))) for name in ("a", "b")]
    with pytest.raises(InputError, match="Expected one run, or several with their comparison; got 2 runs without one"):
        report_of(runs)
    html = fittingroom.report(runs).html
    parsed(html)
    assert "No difference shown between a and b: both get the same images right." in html


def test_what_turns_letters_round_is_replaced_and_other_text_stays() -> None:
    assert harmless({"a\u202eb": ["\u2066x", 1, None, "\u05e9 \u00e9"]}) == {
        "a\ufffdb": ["\ufffdx", 1, None, "\u05e9 \u00e9"]
    }


@pytest.mark.parametrize("text", ["</script><script>", "<!--", "]]>", "a\u2028b\u2029", "&lt;", "\\u003c", '"\\'])
def test_json_in_a_page_comes_back_and_ends_nothing(text: str) -> None:
    found = _json_text({text: [text]})
    assert json.loads(found) == {text: [text]}
    assert not re.search("[<>&\u2028\u2029]", found)


def test_templates_escape_what_they_show() -> None:
    title = "<img src=x onerror=alert(1)>"
    assert title not in Report.of("", "base.html", {"title": title}).html


def test_no_test_set_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = fittingroom.train("digits", out=tmp_path / "run")

    def opened(self: SealedTestSet, reason: str) -> None:
        raise AssertionError(reason)

    monkeypatch.setattr(SealedTestSet, "open", opened)
    before = (tmp_path / "run" / "run.json").read_bytes()
    html = run.report().html
    assert "The test set was not opened for this run" in html
    assert (tmp_path / "run" / "run.json").read_bytes() == before
    assert not (tmp_path / "ledger.sqlite").exists()


def test_python_and_the_command_write_the_same_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = fittingroom.train("digits", seeds=2, out=tmp_path / "run")
    written_by_python = run.report(tmp_path / "python.html")
    assert written_by_python == tmp_path / "python.html"
    assert main(["report", str(tmp_path / "run"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["report"] == str(tmp_path / "run" / "report.html")
    assert told["bytes"] == Path(told["report"]).stat().st_size
    assert Path(told["report"]).read_bytes() == written_by_python.read_bytes()
    assert fittingroom.open_run(tmp_path / "run").seeds == (0, 1)  # the page in its folder harms no run


def test_a_page_that_cannot_be_written_leaves_the_old_one(tmp_path: Path, rising: Report) -> None:
    with pytest.raises(StorageError, match="cannot write"):
        rising.save(tmp_path / "missing" / "page.html")


def test_cards_of_a_notebook_escape_and_tell_the_numbers(tmp_path: Path) -> None:
    run = fittingroom.train("digits", out=tmp_path / "a<b>")
    card = run._repr_html_()
    parsed(card)
    assert "a<b>" not in card
    assert "95% interval" in card
    assert "sealed" in card
    several = fittingroom.train("digits", seeds=2, out=tmp_path / "two")
    assert "seeds 0, 1" in several._repr_html_()


def test_a_dataset_shows_its_sprite_and_no_test_image() -> None:
    data = fittingroom.load("digits")
    for card in (data._repr_html_(), data.train._repr_html_()):
        parsed(card)
        assert card.count("data:image/png;base64,") == 1
    assert "test, sealed" in data._repr_html_()
    assert data.test.openings == ()
