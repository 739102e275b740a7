"""The Python file that a stored run's model came from is run again only when told to, and only if unchanged."""

from __future__ import annotations

import hashlib
import logging
import py_compile
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from fittingroom.errors import RecipeError, RunError
from fittingroom.recipes.modelfile import ModelFile, RecordedFile


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A model file that leaves a canary when it is run."""
    path = tmp_path / "own.py"
    path.write_text(f"import pathlib\npathlib.Path({str(tmp_path / 'canary')!r}).touch()\ndef build(): return 42\n")
    return path


@pytest.fixture
def recorded(file: Path) -> RecordedFile:
    found = ModelFile(file, "build").recorded()
    assert found is not None
    return found


def test_path_function_and_hash_are_recorded(
    file: Path, recorded: RecordedFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert recorded == RecordedFile(str(file), "build", hashlib.sha256(file.read_bytes()).hexdigest())
    monkeypatch.chdir(file.parent)
    assert ModelFile(Path("own.py"), "build").recorded() == recorded  # the path is absolute whatever the recipe says
    assert not (file.parent / "canary").exists()


def test_nothing_is_recorded_of_a_file_that_is_gone(tmp_path: Path) -> None:
    assert ModelFile(tmp_path / "gone.py", "build").recorded() is None


def test_untrusted_it_is_not_run_and_the_error_says_how_to_continue(file: Path, recorded: RecordedFile) -> None:
    with pytest.raises(
        RunError, match=rf"code in {file} \(function build, SHA-256 {recorded.sha256}\), and nothing of"
    ):
        recorded.trusted(trust=False)
    with pytest.raises(RunError, match=r"--trust runs it again \(in Python: trust=True\); or give the model itself"):
        recorded.trusted(trust=False)
    assert not (file.parent / "canary").exists()


def test_trusted_its_path_and_hash_are_said_before_it_is_run(
    file: Path, recorded: RecordedFile, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "fittingroom"):
        trusted = recorded.trusted(trust=True)
    assert str(file) in caplog.text
    assert recorded.sha256 in caplog.text
    assert not (file.parent / "canary").exists()
    assert trusted.call() == 42


def test_a_changed_file_is_refused_with_both_hashes(file: Path, recorded: RecordedFile) -> None:
    file.write_text(file.read_text() + "# changed\n")
    now = hashlib.sha256(file.read_bytes()).hexdigest()
    with pytest.raises(RunError, match=rf"{recorded.sha256}\), but this file's SHA-256 is {now} now.*Bring the old"):
        recorded.trusted(trust=True)
    assert not (file.parent / "canary").exists()


def test_a_file_that_changes_between_the_check_and_the_call_is_not_run(file: Path, recorded: RecordedFile) -> None:
    trusted = recorded.trusted(trust=True)
    file.write_text(file.read_text() + "# changed\n")
    with pytest.raises(RecipeError, match=r"own\.py has changed: its SHA-256 is .*Nothing of it was run"):
        trusted.call()
    assert not (file.parent / "canary").exists()


def test_compiled_code_beside_the_file_is_not_run_in_its_place(file: Path, recorded: RecordedFile) -> None:
    other = file.with_name("other.py")
    other.write_text("def build(): return 'other code'\n")
    cached = file.parent / "__pycache__" / f"own.{sys.implementation.cache_tag}.pyc"
    py_compile.compile(str(other), str(cached), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    assert recorded.trusted(trust=True).call() == 42


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("path", "own.py", "not absolute|cannot be read"),
        ("path", "/dev/zero", "expected FILE.py:FUNCTION"),
        ("path", "/nowhere/own.py", "cannot be read"),
        ("path", "/a\0b.py", "expected FILE.py:FUNCTION"),
        ("function", "os.system", "expected FILE.py:FUNCTION"),
    ],
)
def test_a_damaged_record_is_refused(recorded: RecordedFile, field: str, value: str, reason: str) -> None:
    with pytest.raises(RunError, match=reason):
        replace(recorded, **{field: value}).trusted(trust=True)


def test_a_relative_path_is_refused_even_if_the_file_is_there(
    file: Path, recorded: RecordedFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(file.parent)
    with pytest.raises(RunError, match="not absolute"):
        replace(recorded, path="own.py").trusted(trust=True)
