"""The page of a lab as a file: what it says of the facts it is given."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from fittingroom.data.dataset import SealedTestSet
from fittingroom.reports.pages.document import TextPiece
from fittingroom.reports.pages.lab_page import _claim_cards, _paragraphs, lab_report, labs_index
from fittingroom.reports.pages.lab_pictures import picture
from tests.reports.builders import contents_of, course_of, digits_contents, written
from tests.reports.labs import ERROR, arm_facts, claim_facts, lab_facts, refused_arm
from tests.reports.pages import parsed


def html_of(*kind: str, **changed: Any) -> str:
    """The page of a lab made up, whose facts have been JSON."""
    html = lab_report(json.loads(json.dumps(lab_facts(*kind, **changed)))).html
    parsed(html)
    return html


def test_the_parts_come_in_the_order_of_a_lab() -> None:
    html = html_of(arms=[arm_facts("with"), refused_arm("without")])
    headings = re.findall(r"<h2[^>]*>(.*?)</h2>", html)
    assert headings == [
        "The question",
        "What the course says",
        "Prediction, and what came out",
        "The picture",
        "The verdict",
        "The real error",
        "What to make of it",
        "One thing to try next",
        "Numbers",
        "Run it yourself",
    ]


def test_the_prediction_stands_beside_what_came_out() -> None:
    html = html_of()
    assert re.search(r"It stays</bdi> <span[^>]*>● your prediction", html)
    assert re.search(r'class="outcome"><bdi>It rises</bdi> .*what came out', html)
    assert "Your prediction did not come true." in html
    asked = lab_facts()["prediction"]
    assert "Your prediction came true." in html_of(prediction={**asked, "chosen": 2})
    assert "No prediction was asked for" in html_of(prediction={**asked, "chosen": None})
    assert "What came out is not known" in html_of(prediction={**asked, "outcome": None, "allowed": []})
    undecided = html_of(prediction={**asked, "outcome": None, "allowed": [1, 2]})
    assert "The measurement cannot decide between the answers" in undecided
    assert "✓</span> what came out" not in undecided


def test_a_lab_without_prediction_course_or_number_has_a_page() -> None:
    html = html_of(prediction=None, course=None, lab=None)
    assert "Prediction" not in html
    assert "What the course says" not in html
    assert "<title>More neurons" in html


def test_verdicts_are_words_with_a_sign() -> None:
    found = [(claim.verdict, claim.sign) for claim in _claim_cards(lab_facts()["claims"])]
    assert found == [
        ("supported", "✓"),
        ("not supported", "✗"),
        ("no difference shown", "≈"),
        ("supported", "✓"),
        ("not judged", "–"),
    ]


def test_effects_are_drawn_with_no_difference_marked() -> None:
    difference, ratio, *_ = _claim_cards([claim_facts(kind="difference"), claim_facts(kind="ratio")])
    for claim, none in ((difference, 0.0), (ratio, 1.0)):
        assert claim.scale is not None
        assert claim.drawing is not None
        assert claim.drawing.ends is not None
        assert claim.scale.mark == claim.scale.axis.at(none)
        assert claim.scale.mark < claim.drawing.ends[0] < claim.drawing.mean < claim.drawing.ends[1]
    assert _claim_cards([claim_facts(kind="error")])[0].drawing is None


def test_effects_of_one_measure_share_an_axis_and_those_against_numbers_do_not() -> None:
    large = {**claim_facts(), "value": 75.0, "interval": [74.0, 76.0], "second": 10}
    one, other, alone = _claim_cards([claim_facts(), claim_facts(), large])
    assert one.scale == other.scale
    assert alone.scale != one.scale


def test_what_counts_as_the_same_is_a_band() -> None:
    same = {**claim_facts(), "within": 0.5, "value": 0.1, "interval": [-0.2, 0.4]}
    (claim,) = _claim_cards([same])
    assert claim.drawing is not None
    assert claim.drawing.band is not None
    assert "the grey band counts as none" in html_of(claims=[same])


def test_an_arm_that_fails_shows_its_code_and_the_real_error() -> None:
    html = html_of(arms=[arm_facts("with Flatten"), refused_arm("without Flatten")])
    assert f"<code>{ERROR}</code>" in html
    assert "keras.Input((28, 28))" in html
    assert '<td class="left" colspan="7">error</td>' in html
    alone = html_of(arms=[refused_arm("without Flatten")])
    assert "there is nothing to draw" in alone
    assert ERROR in alone


@pytest.mark.parametrize("kind", ["accuracy", "cost", "curves"])
def test_pictures_show_the_arms_that_they_name(kind: str) -> None:
    asked = {"kind": kind, "arms": ["hidden=512"], "text": "A caption."}
    html = html_of(picture=asked)
    shown = html[html.index("The picture") : html.index("The verdict")]
    assert "hidden=512" in shown
    assert "hidden=128" not in shown
    assert "A caption." in shown


def test_curves_of_arms_have_the_same_axes() -> None:
    calm, wild = arm_facts("calm"), arm_facts("wild")
    wild["history"]["loss"] = [[40.0, 1.0, 0.6, 0.5]] * 3
    drawn = picture(lab_facts("curves", arms=[calm, wild]))["arms"]
    plots = [one["plots"]["loss"].plot for one in drawn]
    assert plots[0].y_ticks == plots[1].y_ticks
    assert plots[0].log
    assert plots[1].log


def test_what_was_left_out_is_listed() -> None:
    assert "<code>fittingroom data mnist</code> tells" in html_of(left_out=["`fittingroom data mnist` tells the ways."])


def test_a_seed_without_an_interval_has_its_pictures() -> None:
    arm = arm_facts("alone")
    for spread in arm["measures"].values():
        spread.update(values=spread["values"][:1], interval=None, deviation=None)
    for kind in ("accuracy", "cost", "curves"):
        html_of(kind, arms=[arm])


def test_ten_numbers_are_those_of_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = digits_contents()
    run = written(tmp_path / "run", contents)

    def opened(self: SealedTestSet, reason: str) -> None:
        raise AssertionError(reason)

    monkeypatch.setattr(SealedTestSet, "open", opened)
    html = html_of("numbers", arms=[arm_facts("course", run=run)])
    assert html.count("✓ right") == html.count("✗ wrong") == 4
    shares = [float(one) for one in re.findall(r'<td class="share">([\d.]+)%</td>', html)]
    assert len(shares) == 80
    assert all(abs(sum(shares[start : start + 10]) - 100) < 0.6 for start in range(0, 80, 10))
    outcomes = contents.outcomes
    assert outcomes is not None
    first = int((outcomes.predicted[-1] == outcomes.labels).argmax())
    assert shares[int(outcomes.labels[first])] == pytest.approx(100 * outcomes.probability[-1, first], abs=0.1)
    assert html.count('<img src="data:image/png;base64,') == 8


def test_groups_of_images_add_up_to_the_loss(tmp_path: Path) -> None:
    run = written(tmp_path / "run", contents_of(course_of([0.4, 1.0, 2.0, 4.0])))
    html = html_of("images", arms=[arm_facts("course", run=run)])
    assert "From epoch 2 to epoch 4 the validation loss went from" in html
    assert "Images that stayed wrong, those whose loss rose most" in html
    assert "No pictures: the run was trained on plain arrays" in html


def test_a_run_that_is_not_there_leaves_a_note(tmp_path: Path) -> None:
    html = html_of("images", arms=[arm_facts("course", run=tmp_path / "gone")])
    assert "No picture:" in html
    assert "no arm was trained" in html_of("numbers", arms=[refused_arm("without")])


def test_reasons_for_stopping_are_counted() -> None:
    assert "a callback stopped it</bdi>" in html_of().replace(" (2 of 3 seeds)", "")
    assert "(2 of 3 seeds)" in html_of()


def test_texts_have_paragraphs_and_code() -> None:
    assert _paragraphs("a `b` c\nd\n\n \n`e") == [
        [TextPiece("a "), TextPiece("b", code=True), TextPiece(" c d")],
        [TextPiece("`e")],
    ]
    assert _paragraphs(None) == []


def test_the_list_of_labs_links_to_their_pages() -> None:
    one = lab_facts()
    html = labs_index([one, {**one, "lab": None, "name": "javascript:alert(1)"}]).html
    addresses = [address for address in parsed(html).addresses if not address.startswith("#")]
    assert addresses == ["./neurons.html", "./javascript%3Aalert%281%29.html"]
    assert html.count("no difference shown") >= 2
    assert "./a/b.html" in labs_index([one], ["a/b.html"]).html
