"""Every command, option, setting, route and public name has its page, and the page says what the code says."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import fittingroom
from benchmarks.readme import between_markers
from docs.generate import DOCS, marked_parts, public_names
from fittingroom.cli.main import COMMANDS

PARTS = marked_parts()


@pytest.mark.parametrize(("page", "marker"), PARTS, ids=lambda name: name)
def test_what_the_code_says_stands_on_its_page(page: str, marker: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    assert between_markers(text, marker, f"\n{PARTS[page, marker]()}\n") == text, "`make docs` writes it anew"


def test_every_command_has_a_page_in_the_list_and_no_other_has_one() -> None:
    pages = {path.stem for path in (DOCS / "reference" / "commands").glob("*.md")} - {"index"}
    assert pages == set(COMMANDS)
    listed = re.search(r"```{toctree}.*?\n\n(.*?)```", (DOCS / "reference/commands/index.md").read_text(), re.DOTALL)
    assert listed is not None
    assert listed[1].split() == list(COMMANDS)


def test_every_public_name_is_described_on_one_page() -> None:
    described = Counter(name for names in public_names().values() for name in names)
    assert described == Counter(fittingroom.__all__)


def test_every_setting_has_a_heading() -> None:
    headings = re.findall(r"^### `(\w+)`$", (DOCS / "reference" / "settings.md").read_text(), re.MULTILINE)
    assert headings == list(fittingroom.Recipe().to_dict())


def test_every_file_of_a_run_and_every_array_of_it_is_described(tmp_path: Path) -> None:
    fittingroom.train("digits", fittingroom.Recipe(hidden=(), epochs=1), out=tmp_path / "run")
    page = (DOCS / "reference" / "files.md").read_text(encoding="utf-8")
    files = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert {path.name for path in files} <= set(re.findall(r"[\w.-]+\.\w+", page))
    for path in files:
        if path.suffix == ".npz":
            with np.load(path) as arrays:
                assert {f"`{name}`" for name in arrays} <= set(re.findall(r"`\w+`", page)), path.name
        elif path.name == "run.json" and path.parent.name == "seed-0":
            assert {f"`{key}`" for key in json.loads(path.read_text())} <= set(re.findall(r"`\w+`", page))


def test_every_path_of_the_server_is_on_its_page() -> None:
    page = (DOCS / "reference" / "http.md").read_text(encoding="utf-8")
    source = (DOCS.parent / "src" / "fittingroom" / "serving" / "app.py").read_text(encoding="utf-8")
    paths = set(re.findall(r"@\w+\.(?:get|post|put|delete)\(\s*\"([^\"]+)\"", source))
    assert {"/v1/predict", "/docs"} <= paths
    assert [path for path in paths if f"{path}`" not in page] == []


def test_every_environment_variable_of_ours_is_described() -> None:
    page = (DOCS / "install.md").read_text(encoding="utf-8")
    sources = (DOCS.parent / "src").rglob("*.py")
    named = {name for path in sources for name in re.findall(r"\bFITTINGROOM_[A-Z_]*[A-Z]\b", path.read_text("utf-8"))}
    assert {name for name in named if f"`{name}" not in page} == set()
