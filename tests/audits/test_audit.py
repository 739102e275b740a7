"""The runner: which checks are made, what is kept, what is shown of it, and that the test set stays sealed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

import fittingroom as fr
from fittingroom.api.audited import AuditInterrupted
from fittingroom.audits.check import CheckResult, Review
from fittingroom.audits.checks import CHECKS, kept_results
from fittingroom.audits.export import review_rows
from fittingroom.cli.main import main
from fittingroom.data.cache import cache_dir
from fittingroom.data.review_list import Decision, ReviewList
from fittingroom.errors import DataError, InputError
from fittingroom.runs.ledger import Ledger
from tests.audits.made_up_checks import MADE, only_checks
from tests.reports.pages import block_of, parsed


@pytest.fixture(autouse=True)
def own_places(runs_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    del runs_dir
    monkeypatch.setenv("FITTINGROOM_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fr.train("digits", epochs=1, seeds=2, out=tmp_path_factory.mktemp("run") / "run").path


def test_what_was_found_comes_first_and_survives_json() -> None:
    with only_checks("clear", "found"):
        audit = fr.audit(fr.load("digits"))
    assert [result.check for result in audit.results] == ["clear", "found"]
    told = json.loads(json.dumps(audit.to_dict()))
    assert [result["check"] for result in told["results"]] == ["found", "clear"]
    assert told["overview"] == audit.overview == "1 check found something and 1 is clear."
    assert str(audit).index("FOUND") < str(audit).index("CLEAR")
    again = CheckResult.from_dict(json.loads(json.dumps(audit["found"].to_dict())))
    assert again.to_dict() == audit["found"].to_dict()


def test_results_are_kept_for_the_same_data_and_made_again_for_others_or_when_asked() -> None:
    with only_checks("found", "clear"):
        first = fr.audit(fr.load("digits"))
        assert fr.audit("digits").to_dict() == first.to_dict()
        assert MADE == ["found", "clear"]
        fr.audit("digits", only="clear", again=True)
        assert MADE == ["found", "clear", "clear"]
        fr.audit(fr.load("digits", split_seed=1), only=["clear"])
        assert len(MADE) == 4


def test_results_of_a_run_are_kept_in_its_folder_until_its_weights_change(trained: Path) -> None:
    with only_checks("found", "clear", needs_run="clear"):
        audit = fr.open_run(trained).audit()
        kept = kept_results(trained)
        assert list(kept) == ["found", "clear"]
        assert kept["found"]["sentences"] == list(audit["found"].sentences)
        assert (trained / "audit" / "found.json").exists()
        weights = next(trained.glob("seed-1/weights.safetensors"))
        content = weights.read_bytes()
        weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        try:
            assert kept_results(trained) == {}
        finally:
            weights.write_bytes(content)
        for damaged in (b"{", b"[]", b'{"format": 1}'):
            (trained / "audit" / "found.json").write_bytes(damaged)
            assert list(kept_results(trained)) == ["clear"]
        fr.audit(trained)
        assert MADE == ["found", "clear", "found"]


@pytest.mark.parametrize(
    "change",
    [
        {"verdict": "fine"},
        {"check": "clear"},
        {"sentences": None},
        {"seconds": None},
        {"evidence": [{"kind": "table", "title": "t", "header": ["a"], "rows": [["b", "c"]], "left": 1}]},
        {"evidence": [{"kind": "gallery", "title": "g", "images": [], "columns": 10**9}]},
        {
            "evidence": [
                {"kind": "gallery", "title": "g", "images": [{"url": "https://x", "caption": ""}], "columns": 1}
            ]
        },
        {"evidence": [{"kind": "plot", "title": "p", "x_label": "", "y_label": "", "lines": [{"name": "", "x": [1]}]}]},
        {"findings": [{"part": "train"}]},
    ],
    ids=["verdict", "name", "text", "number", "table", "gallery", "address", "plot", "finding"],
)
def test_a_kept_result_that_was_changed_is_made_again(change: dict[str, object]) -> None:
    with only_checks("found", "clear"):
        fr.audit("digits", only="found")
        (file,) = cache_dir().glob("audits/*/found.json")
        stored = json.loads(file.read_bytes())
        stored["result"] |= change
        file.write_text(json.dumps(stored), encoding="utf-8")
        fr.audit("digits", only="found")
        assert MADE == ["found", "found"]


def test_a_check_that_needs_a_model_is_not_examined_without_one_and_one_that_fails_leaves_the_others() -> None:
    with only_checks("fails", "found", "clear", needs_run="found"):
        audit = fr.audit("digits")
    assert [result.verdict for result in audit.results] == ["not examined", "not examined", "clear"]
    assert "cannot be read" in audit["fails"].sentences[0]
    assert "fittingroom audit latest" in audit["found"].sentences[0]


def test_an_interruption_shows_and_keeps_what_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    with only_checks("found", "interrupted", "clear"):
        with pytest.raises(AuditInterrupted, match=r"in the check interrupted\. 1 finished check is kept") as stopped:
            fr.audit("digits")
        assert [result.check for result in stopped.value.audit.results] == ["found"]
        assert main(["audit", "digits", "--json"]) == 130
        printed = capsys.readouterr()
        assert not json.loads(printed.out)["complete"]
        assert "interrupted: the audit was ended" in printed.err
        assert MADE == ["found"]


def test_checks_that_are_quick_name_themselves_and_fit_page_text_and_json(trained: Path) -> None:
    quick = ("raw-data", "duplicates", "measures", "slices")
    audit = fr.audit(trained, only=quick)
    assert tuple(result.check for result in audit.results) == quick
    assert all(result.title == CHECKS[result.check].title and result.sentences for result in audit.results)
    assert all(result.title in str(audit) for result in audit.results)
    json.dumps(audit.to_dict(), allow_nan=False)
    parsed(audit.report().html)


def test_a_reviewed_list_gives_the_rate_of_wrong_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with only_checks("found"):
        audit = fr.audit("digits", again=True)
        (review,) = (one for one in audit["found"].evidence if isinstance(one, Review))
        reviewable = replace(audit["found"], findings=tuple(item.finding for item in review.items))
        rows = review_rows(audit.subject.dataset, [reviewable])
        reviewed = tmp_path / "reviewed.csv"
        ReviewList.write(reviewed, rows)
        with pytest.raises(InputError, match="no decision about an image of this review"):
            audit.error_rate(reviewed)
        decided: tuple[Decision, ...] = ("relabel", "", "keep", "keep", "exclude")
        ReviewList.write(reviewed, [replace(row, decision=one) for row, one in zip(rows, decided, strict=True)])
        rate = audit.error_rate(reviewed)
        assert (rate.images, rate.reviewed, rate.wrong, rate.skipped) == (100, 5, 2, 1)
        assert main(["audit", "digits", "--only", "found", "--reviewed", str(reviewed)]) == 0
        assert capsys.readouterr().out.strip() == rate.sentence
        other = replace(rows[0], image="pixels:" + 32 * "0", decision="keep")
        reviewed.unlink()
        ReviewList.write(reviewed, [other])
        with pytest.raises(DataError, match="The list is of other data"):
            audit.error_rate(reviewed)
    with only_checks("clear"), pytest.raises(InputError, match="fittingroom audit --only labels"):
        fr.audit("digits").error_rate(reviewed)


def test_page_and_list_are_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page, exported = tmp_path / "audit.html", tmp_path / "found.csv"
    with only_checks("found", "clear"):
        assert main(["audit", "digits", "--report", str(page), "--export", str(exported), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["report"], facts["export"]) == (str(page), str(exported))
    rows = ReviewList.read(exported).rows
    assert [(row.part, row.label, row.suggested, row.decision) for row in rows] == [
        ("train", "3", "5", ""),
        ("train", "", "", ""),
    ]
    html = page.read_text(encoding="utf-8")
    parsed(html)
    assert "<script>alert" not in html.replace("&lt;", "")
    assert len(block_of(html)["review"]["items"]) == 5
    assert "data:image" not in json.dumps(facts)


def test_no_audit_opens_a_test_set(trained: Path) -> None:
    with only_checks("found"):
        fr.audit(trained, again=True)
    assert Ledger.of_user().looks() == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["digits", "--only", "lables"], "unknown check 'lables'. Did you mean 'labels'?"),
        (["digits", "--only", ","], "names no check"),
        (["fashion-mnits"], "unknown run or dataset 'fashion-mnits'. Did you mean 'fashion-mnist'?"),
        ([""], "'' names no run and no dataset"),
        (["digits", "--data", "mnist"], "--data and --trust are for runs"),
    ],
)
def test_bad_arguments_are_refused(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_the_help_names_every_check(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["audit", "--help"])
    said = "".join(capsys.readouterr().out.split())
    assert all(name in said for name in CHECKS)
