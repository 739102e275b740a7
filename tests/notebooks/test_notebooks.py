"""The notebooks run from top to bottom, show what their texts speak of, and are stored without results.

`make test` runs the first one, `make test-all` the second one too.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

from fittingroom.runs.ledger import Ledger
from tests.contracts.source import PACKAGE, ROOT

FOLDER = ROOT / "notebooks"
NOTEBOOKS = ["1-beyond-hello-world", "2-callbacks"]
# What a text may name of figures: thresholds, ends of a scale, and what the reader is to try. The rest is computed.
SETTINGS = {"0.4", "0.6", "60%", "40%", "100%", "0%", "95%", "1,024"}
WRITTEN_TO = ["FITTINGROOM_RUNS_DIR", "IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"]


def stored(name: str) -> NotebookNode:
    """A notebook as it is kept in the repository."""
    read: NotebookNode = nbformat.read(  # type: ignore[no-untyped-call]
        FOLDER / f"{name}.ipynb", as_version=nbformat.NO_CONVERT
    )
    return read


def texts(name: str) -> str:
    return "\n\n".join(cell.source for cell in stored(name).cells if cell.cell_type == "markdown")


def _written_over(shown: str, part: str) -> str:
    return part + shown[len(part) :]


@dataclass(frozen=True)
class Shown:
    """A notebook after it was run, and the ledger that it wrote to."""

    cells: dict[str, NotebookNode]
    ledger: Path

    def printed(self, cell: str) -> str:
        """What stands below a cell, where a line that begins anew is written over the one before."""
        text = "".join(output.text for output in self.cells[cell].outputs if output.output_type == "stream")
        return "\n".join(reduce(_written_over, line.split("\r")).rstrip(" ") for line in text.split("\n"))

    def shown(self, cell: str, kind: str) -> list[str]:
        """What a cell shows of a MIME type."""
        found = [output.get("data", {}) for output in self.cells[cell].outputs]
        return [data[kind] for data in found if kind in data]

    def curves(self, cell: str) -> list[str]:
        """The quantities whose curves a cell shows as drawings."""
        (html,) = self.shown(cell, "text/html")
        return re.findall(r'role="img" aria-label="(\w+) over[^"]*"><div[^>]*><svg ', html.replace("\n", ""))


def run(name: str, folder: Path) -> Shown:
    """Runs a notebook as its reader would: Keras's backend is what `import fittingroom` makes of it."""
    ledger = folder / "ledger.sqlite"
    environment = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    environment |= {"FITTINGROOM_LEDGER": str(ledger)} | {place: str(folder / place) for place in WRITTEN_TO}
    notebook = stored(name)
    with pytest.MonkeyPatch.context() as patch:
        for place in WRITTEN_TO:
            patch.setenv(place, environment[place])
        client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}})
        client.execute(env=environment)
    return Shown({cell.id: cell for cell in notebook.cells if cell.cell_type == "code"}, ledger)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Shown:
    return run(NOTEBOOKS[0], tmp_path_factory.mktemp("first"))


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Shown:
    return run(NOTEBOOKS[1], tmp_path_factory.mktemp("second"))


@pytest.mark.parametrize("name", ["first", pytest.param("second", marks=pytest.mark.slow)])
def test_every_cell_runs_in_its_turn_and_none_fails_or_warns(name: str, request: pytest.FixtureRequest) -> None:
    shown: Shown = request.getfixturevalue(name)
    assert [cell.execution_count for cell in shown.cells.values()] == list(range(1, len(shown.cells) + 1))
    for cell in shown.cells.values():
        assert [output for output in cell.outputs if output.output_type == "error"] == []
        assert not [output for output in cell.outputs if "Warning" in output.get("text", "")]


def test_training_tells_each_epoch_as_it_ends(first: Shown) -> None:
    (told,) = [text for text in (first.printed(cell) for cell in first.cells) if text.startswith("epoch 1/")]
    assert [line.split()[1] for line in told.splitlines()] == [f"{epoch}/5" for epoch in range(1, 6)]
    assert "val_accuracy 0." in told


@pytest.mark.slow
def test_seeds_report_each_epoch_together(second: Shown) -> None:
    assert any("all 3  " in second.printed(cell) for cell in second.cells)  # one line for three seeds


def test_curves_are_there(first: Shown) -> None:
    assert first.curves("curves") == ["Loss", "Accuracy"]


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["loss-curves", "early", "seeds"])
def test_curves_of_callbacks_and_seeds_are_there(second: Shown, cell: str) -> None:
    assert second.curves(cell) == ["Loss", "Accuracy"]


def test_pictures_are_there(first: Shown) -> None:
    for cell, count in {"image-0": 1, "image-42": 1, "ten": 1, "three": 3}.items():
        assert len(first.shown(cell, "image/png")) == count


def test_the_two_pictures_of_the_course_are_ankle_boots(first: Shown) -> None:
    assert first.printed("image-0") == first.printed("image-42") == "9 = Ankle boot\n"


def test_loss_and_accuracy_by_hand_are_those_of_the_training(first: Shown) -> None:
    for line in first.printed("by-hand").splitlines():
        by_hand, told = re.findall(r"\d\.\d+", line)
        assert by_hand == told


def test_the_test_set_says_why_it_gives_nothing_and_is_opened_once(first: Shown) -> None:
    assert "it gives nothing until it is opened" in first.printed("sealed")
    (look,) = Ledger(first.ledger).looks()
    assert look.score is not None
    assert f"test accuracy {look.score['correct'] / look.score['count']:.4f}" in first.printed("test")


@pytest.mark.slow
def test_the_second_notebook_opens_no_test_set(second: Shown) -> None:
    assert not second.ledger.exists()


def test_what_is_said_of_loss_and_accuracy_is_there(first: Shown) -> None:
    (html,) = first.shown("explain", "text/html")
    assert "What did loss and accuracy really say?" in html
    careful, bold = (re.findall(r"[\d.]+", line) for line in first.printed("part").splitlines())
    assert careful[0] == bold[0]
    assert float(careful[1]) < float(bold[1])


@pytest.mark.slow
def test_the_wrong_message_comes_whatever_the_accuracy_is(second: Shown) -> None:
    assert second.printed("message") == "Reached 60% accuracy!\n"


@pytest.mark.slow
def test_a_loss_of_four_tenths_is_no_accuracy(second: Shown) -> None:
    accuracy = re.search(r"accuracy of that epoch is ([\d.]+)%", second.printed("stopped-at"))
    assert accuracy
    assert float(accuracy[1]) > 70  # not 60, and not 40
    losses = re.findall(r"loss ([\d.]+), accuracy (\d+)%", second.printed("same-loss"))
    assert [loss for loss, _ in losses] == ["0.400", "0.400"]
    assert len({share for _, share in losses}) == 2


@pytest.mark.slow
def test_stopping_early_keeps_the_weights_of_the_best_epoch(second: Shown) -> None:
    best, _, kept = re.findall(r"\d\.\d{4}", second.printed("kept"))
    assert kept == best


@pytest.mark.slow
def test_an_interrupted_training_continues_to_the_same_bits(second: Shown) -> None:
    assert "interrupted" in second.printed("interrupt")
    assert second.printed("go-on").count("True") == 2


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_no_result_is_stored(name: str) -> None:
    for cell in stored(name).cells:
        assert cell.metadata == {}
        if cell.cell_type == "code":
            assert (cell.outputs, cell.execution_count) == ([], None)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_texts_name_no_result(name: str) -> None:
    prose = re.sub(r"```.*?```|`[^`]*`", "", texts(name), flags=re.DOTALL)
    figures = set(re.findall(r"\d+(?:[.,]\d+)+%?|\d+ ?%", prose))
    assert figures - SETTINGS == set()


def test_every_lab_that_a_text_points_to_is_there() -> None:
    labs = {int(file.name.split("-")[0]) for file in (PACKAGE / "labs" / "texts").glob("*.toml")}
    pointed = {int(number) for name in NOTEBOOKS for number in re.findall(r"`fittingroom lab (\d+)`", texts(name))}
    assert set(range(1, 9)) <= pointed <= labs
