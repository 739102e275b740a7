"""Cards: every number is what its command prints, what was not examined says so, and both formats are valid."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
import types
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from PIL import Image

import fittingroom as fr
from fittingroom.audits import checks
from fittingroom.audits.card_facts import public_command
from fittingroom.audits.check import AuditSubject, CheckResult, EvidenceTable, Finding
from fittingroom.audits.checks import CHECKS
from fittingroom.audits.export import write_findings
from fittingroom.data.model_inputs import ModelInputs
from fittingroom.serving.drift_watch import DriftWatch
from fittingroom.serving.gate import Security
from fittingroom.studio.application import create_studio
from fittingroom.studio.studio import Studio
from tests.cli.conftest import Command, Done
from tests.studio.opened import asked

pytestmark = [
    pytest.mark.usefixtures("quick_compiler"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:rdflib"),  # which mlcroissant uses in its older way
]

HOSTILE = "<script>alert(1)</script> | *x* `y` [z](http://example.org) \u202e"


@pytest.fixture(scope="module")
def runs(runs_folder: Path) -> dict[str, fr.Run]:
    """By name: one seed with its test score, several seeds whose test set is closed, and one without validation."""
    recipe = fr.Recipe(name="small", hidden=(), epochs=2)
    data = fr.load("digits")
    arrays = np.random.default_rng(0).random((60, 8, 8), np.float32), np.arange(60) % 3
    import keras

    model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    one = fr.train(data, recipe, out=runs_folder / "one")
    one.evaluate("for the card")
    several = fr.train(data, recipe, seeds=2, out=runs_folder / "several")
    bare = fr.fit(model, *arrays, epochs=1, validation_split=0.0, out=runs_folder / "bare")
    return {"one": one, "several": several, "bare": fr.open_run(bare.path)}


TABLE = EvidenceTable("Per class", ("class", "wrong"), tuple((f"{n} <b>", str(n)) for n in range(30)))


def labels(subject: AuditSubject) -> CheckResult:
    """A check that finds something, in words with a name of somebody else."""
    sentences = (f"3 labels of {subject.dataset.name} are probably wrong.", f"One is of {HOSTILE}.")
    return CheckResult("labels", "Label suspects", "found", sentences, advice=("Look at them.",), evidence=(TABLE,))


def measures(subject: AuditSubject) -> CheckResult:
    """A check that is clear."""
    return CheckResult("measures", "Measures", "clear", (f"No class of {len(subject.dataset.classes)} stands out.",))


def test_drift_that_a_server_saw_stands_in_the_card(runs: dict[str, fr.Run], command: Command) -> None:
    run = runs["one"]
    assert "Drift of what is served: **not examined**; `fittingroom serve one` compares" in run.card().markdown
    pixels = np.random.default_rng(0).integers(0, 17, (400, 8, 8)).astype(np.uint8)
    watch = DriftWatch.of(run.path, run.predictor)
    watch.note(ModelInputs.plain(pixels), run.predictor.answer(pixels))
    watch.count(ending=True)
    said = command("monitor", "one", "--json").json
    card = run.card().markdown.replace("\\", "")
    assert said["verdict"] == "found"
    assert f"Drift of what is served: **found**. {said['sentences'][0]} (`fittingroom monitor one`)" in card
    shutil.rmtree(run.path / "drift")


def rendered(card: str) -> str:
    """The card without its front matter as HTML, by a renderer that lets tags through."""
    from markdown_it import MarkdownIt

    html: str = MarkdownIt("commonmark", {"html": True}).enable("table").render(card.partition("\n---\n")[2])
    return html


def at(facts: Any, key: str) -> Any:
    for part in key.split("."):
        facts = facts[int(part)] if isinstance(facts, list) else facts[part]
    return facts


@pytest.mark.parametrize("name", ["one", "several", "bare"])
def test_every_number_of_a_card_is_what_its_command_prints(
    name: str, runs: dict[str, fr.Run], command: Command
) -> None:
    card, printed = runs[name].card(), dict[str, Done]()
    assert len(card.numbers) > 15
    for number in card.numbers:
        if number.command not in printed:
            program, *arguments = shlex.split(number.command)
            assert program == "fittingroom"
            printed[number.command] = command(*arguments, "--json")
        assert at(printed[number.command].json, number.key) == number.value, number
        assert number.text in card.markdown.replace("\\", "").replace("&amp;", "&"), number
    assert {line.split()[1] for line in printed} <= {"show", "explain", "evaluate"}
    looks = command("ledger", "--json").json["looks"]
    assert len(looks) == 1, "writing and checking the cards opened a test set"


def test_what_nobody_examined_says_so_with_the_command_that_examines_it(runs: dict[str, fr.Run]) -> None:
    several, bare, one = (runs[name].card().markdown for name in ("several", "bare", "one"))
    assert "**Test: not examined.** `fittingroom evaluate several` opens the sealed test set" in several
    assert "Test: not examined" not in one
    assert "how much another seed changes is **not examined**" in one
    assert "**Validation: not examined.** The run was trained without validation images." in bare
    assert "The run has no test set." in bare
    for name in CHECKS:
        assert f"not examined.** `fittingroom audit several --only {name}` examines it." in several
    assert "`fittingroom audit bare --only labels --data DATASET` examines it." in bare  # plain arrays are not stored
    assert several.count("not examined") > 15
    assert "License: Not stated." in several


def test_the_front_matter_is_yaml_with_the_keys_of_the_hub(runs: dict[str, fr.Run]) -> None:
    import yaml

    about = {"model": {"license": "mit", "developed_by": HOSTILE}, "data": {"title": 'a "b": c # d'}}
    card = runs["one"].card(about)
    _, block, _ = card.markdown.split("---\n", 2)
    read = yaml.safe_load(block)
    assert read == card.to_dict()["front_matter"]
    assert read["license"] == "mit"
    assert "license" not in runs["one"].card().to_dict()["front_matter"], "nobody stated a licence"
    assert read["pipeline_tag"] == "image-classification"
    (result,) = read["model-index"][0]["results"]
    assert result["dataset"]["split"] == "test"
    assert result["metrics"][0]["value"] == runs["one"].evaluate().accuracy
    assert runs["one"].card({"model": {"license": "Apache-2.0"}}).to_dict()["front_matter"]["license"] == "apache-2.0"
    own = runs["one"].card({"model": {"license": "Our own terms, 2026"}}).to_dict()["front_matter"]
    assert (own["license"], own["license_name"]) == ("other", "Our-own-terms-2026")
    closed = runs["several"].card().to_dict()["front_matter"]["model-index"][0]["results"][0]
    assert closed["dataset"]["split"] == "validation"


def test_names_of_other_people_are_text_and_no_path_of_this_machine_is_told(
    runs: dict[str, fr.Run], tmp_path: Path
) -> None:
    images, labels = np.random.default_rng(0).integers(0, 255, (60, 8, 8), np.uint8), np.arange(60) % 2
    file = tmp_path / "private.npz"
    np.savez(file, x_train=images, y_train=labels, class_names=np.array([HOSTILE, "plain"]))
    run = fr.train(f"npz:{file}", fr.Recipe(hidden=(), epochs=1), out=tmp_path / "<b>run")
    file.unlink()  # no data are needed for a card
    card = run.card({"model": {"contact": HOSTILE}})
    text = card.markdown
    page = rendered(text)
    assert not re.search(r"<(script|b|img)\b|href=.http://example", page)
    assert "&lt;script&gt;alert(1)&lt;/script&gt; | *x* `y` [z](http://example.org)" in page
    assert "\u202e" not in text
    assert r"&lt;script&gt;alert(1)&lt;/script&gt; \| \*x\* \`y\` \[z\]" in text
    assert "npz:private.npz" in text
    assert str(tmp_path) not in str(card)
    validated(card.croissant, tmp_path)


@pytest.mark.parametrize("name", ["one", "bare"])
def test_the_data_card_is_valid_croissant(name: str, runs: dict[str, fr.Run], tmp_path: Path) -> None:
    run = runs[name]
    about = {
        "data": {"creators": "A. Person, B. Person", "published": "2026-01-02", "license": "mit", "version": "1.0.0"}
    }
    dataset = validated(run.card(about).croissant, tmp_path)
    assert not dataset.metadata.ctx.issues.warnings or name == "bare"
    counts = run[0].record.data.counts
    assert {row["parts/name"]: row["parts/images"] for row in dataset.records("parts")} == dict(counts)
    assert [row["classes/name"] for row in dataset.records("classes")] == list(run[0].record.data.classes)
    assert [person.name for person in dataset.metadata.creators] == ["A. Person", "B. Person"]
    assert "not examined" in dataset.metadata.data_annotation_analysis[0]
    assert "not examined" in dataset.metadata.data_limitations[0]


def test_commands_in_cards_name_no_folder_of_this_machine() -> None:
    line = "fittingroom train folder:/home/shoes --data-dir '/home/my data' --model /home/net.py:build --set epochs=2"
    shown = "fittingroom train folder:shoes --data-dir 'my data' --model net.py:build --set epochs=2"
    assert public_command(line) == shown
    assert public_command(shown) == shown


def test_the_card_of_a_folder_of_pictures_reads_them_with_their_classes(tmp_path: Path) -> None:
    for number in range(40):
        folder = tmp_path / "shop" / "train" / ("left shoe", "right shoe")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        pixels = np.full((8, 8), number * 6, np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    shop = str(tmp_path / "shop")
    findings = (Finding("train", 3, "odd", fr.load(shop).classes[fr.load(shop).train.labels[3]]),)
    result = CheckResult("labels", "Labels", "found", ("One.",), findings=findings)
    write_findings(tmp_path / "list.csv", fr.load(shop), [result])
    lines = (tmp_path / "list.csv").read_text(encoding="utf-8").replace(",odd,,,", ",odd,,exclude,")
    (tmp_path / "list.csv").write_text(lines, encoding="utf-8")
    run = fr.train(shop, fr.Recipe(hidden=(), epochs=1), exclude=tmp_path / "list.csv", out=tmp_path / "run")
    text = run.card().markdown
    assert "| left out by a reviewed list | 1 image | `data.load.exclude.rows` |" in text
    (command,) = [line for line in text.splitlines() if line.startswith("`fittingroom train ")]
    assert "train folder:shop " in command
    assert " --exclude list.csv" in command
    assert str(tmp_path) not in text
    records = list(validated(run.card().croissant, tmp_path / "shop").records("images"))
    assert len(records) == 40
    for record in records:
        value = np.asarray(record["images/picture"]).flat[0]
        assert record["images/class"].decode() == ("left shoe", "right shoe")[int(value) // 6 % 2]


def validated(croissant: dict[str, Any], folder: Path) -> Any:
    """The data card as `mlcroissant` reads it; it raises for one that breaks the format."""
    if "jsonpath_rw" not in sys.modules:  # see requirements-dev-excludes.in
        stand_in = types.ModuleType("jsonpath_rw")
        stand_in.lexer = types.ModuleType("jsonpath_rw.lexer")  # type: ignore[attr-defined]
        sys.modules["jsonpath_rw"] = stand_in
    import mlcroissant

    path = folder / "croissant.json"
    path.write_text(json.dumps(croissant), encoding="utf-8")
    return mlcroissant.Dataset(path)


def test_cards_are_written_again_but_what_somebody_edited_is_kept(
    runs: dict[str, fr.Run], command: Command, tmp_path: Path
) -> None:
    done = command("card", "several", "--out", tmp_path / "cards", "--json")
    assert [Path(file).name for file in done.json["files"]] == ["README.md", "croissant.json"]
    readme = tmp_path / "cards" / "README.md"
    assert command("card", "several", "--out", tmp_path / "cards").status == 0
    first = readme.read_text(encoding="utf-8")
    readme.write_text(first.replace("License: Not stated.", "License: MIT"), encoding="utf-8")
    refused = command("card", "several", "--out", tmp_path / "cards")
    assert refused.status == 2
    assert "was edited since it was made, so it is not replaced" in refused.err
    assert "License: MIT" in readme.read_text(encoding="utf-8")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "README.md").write_text("# Mine")
    refused = command("card", "several", "--out", tmp_path / "other")
    assert refused.status == 2
    assert "was not made by fittingroom, so it is not replaced" in refused.err
    printed = command("card", "several").out
    assert first.startswith(printed.partition("\n# Data card")[0])
    assert runs["several"].card()._repr_markdown_().startswith("\n# several")


def test_the_studio_gives_both_cards_to_be_saved(runs: dict[str, fr.Run]) -> None:
    app = create_studio(Studio(), Security(frozenset({"localhost"}), False, "o" * 22, links=True))
    owner = {"authorization": f"Bearer {'o' * 22}"}
    reply = asked(app, "GET", "/api/runs/one/model-card", owner)
    assert reply.body.decode() == runs["one"].card().markdown
    assert reply.headers["content-disposition"] == 'attachment; filename="README.md"'
    assert asked(app, "GET", "/api/runs/one/data-card", owner).json == runs["one"].card().croissant


def test_what_only_people_know_comes_from_a_file(runs: dict[str, fr.Run], command: Command, tmp_path: Path) -> None:
    file = tmp_path / "about.toml"
    file.write_text('[model]\ndirect_use = "Sorting."\n[data]\nlicense = "cc-by-4.0"\n', encoding="utf-8")
    card = command("card", "one", "--about", file).out
    assert "## Direct Use\n\nSorting." in card
    assert "- Direct use: Sorting." in card
    assert '"license": "cc-by-4.0"' in card
    file.write_text('[model]\ndirect_usage = "Sorting."\n', encoding="utf-8")
    refused = command("card", "one", "--about", file)
    assert refused.status == 2
    assert f"{file}, line 2: unknown key" in refused.err
    assert "direct_use" in refused.err
    with pytest.raises(fr.InputError, match="expected a text"):
        runs["one"].card({"model": {"license": 3}})
    with pytest.raises(fr.InputError, match=r"data.published = 'spring': expected a date such as 2026-05-31"):
        runs["one"].card({"data": {"published": "spring"}})
    with pytest.raises(fr.UnknownNameError, match="Did you mean 'model'"):
        runs["one"].card({"modle": {}})


def test_a_card_quotes_the_audit_while_it_holds(
    runs: dict[str, fr.Run], command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {name: replace(CHECKS[name], function=f"{__name__}.{name}") for name in ("labels", "measures")}
    monkeypatch.setattr(checks, "CHECKS", MappingProxyType({**CHECKS, **own}))
    results = command("audit", "several", "--only", "labels,measures", "--json").json["results"]
    assert [result["check"] for result in results] == ["labels", "measures"]
    card = runs["several"].card()
    for result in results:
        assert card.to_dict()["checks"][result["check"]]["sentences"] == result["sentences"]
    assert "**Label suspects: found.** `fittingroom audit several --only labels` prints:" in card.markdown
    assert "- 3 labels of digits are probably wrong." in card.markdown
    assert "- To do: Look at them." in card.markdown
    assert "Per class:\n\n| class | wrong |\n|---|--:|\n| 0 &lt;b&gt; | 0 |\n| 1 &lt;b&gt; | 1 |" in card.markdown
    assert "| 19 &lt;b&gt; | 19 |\n\n... and 10 more rows" in card.markdown
    assert "Measures: **clear**. No class of 10 stands out." in card.markdown
    assert not re.search(r"<(script|b)\b|href=.http://example", rendered(card.markdown))
    assert "3 labels of digits are probably wrong." in card.croissant["rai:dataAnnotationAnalysis"][0]
    shutil.copytree(runs["several"].path / "audit", runs["one"].path / "audit")
    other = runs["one"].card()  # whose weights are others
    assert "**Label suspects: not examined.** `fittingroom audit one --only labels` examines it." in other.markdown
    for run in runs.values():
        shutil.rmtree(run.path / "audit", ignore_errors=True)
