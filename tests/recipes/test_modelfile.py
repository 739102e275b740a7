from __future__ import annotations

import sys
from pathlib import Path

import pytest

from fittingroom.errors import ModelError, RecipeError
from fittingroom.recipes.modelfile import ModelFile


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "own.py"


def call(file: Path, text: str, function: str = "build") -> object:
    file.write_text(text)
    return ModelFile(file, function).call()


def test_function_is_called(file: Path) -> None:
    assert call(file, "def build(): return 42") == 42


def test_path_may_hold_colons_and_spaces() -> None:
    assert ModelFile.of("C:/my nets/own.py:build") == ModelFile(Path("C:/my nets/own.py"), "build")


@pytest.mark.parametrize(
    "text", ["own.py", "own.py:", ":build", "own.txt:build", "own.py:build()", "own.py:a b", "a\n.py:f"]
)
def test_other_forms_are_refused(text: str) -> None:
    with pytest.raises(RecipeError, match=r"expected FILE.py:FUNCTION"):
        ModelFile.of(text)


def test_file_beside_it_can_be_imported(file: Path) -> None:
    (file.parent / "fittingroom_test_layers.py").write_text("SIZE = 7")
    assert call(file, "import fittingroom_test_layers\ndef build(): return fittingroom_test_layers.SIZE") == 7
    assert str(file.parent) not in sys.path


def test_missing_function_lists_those_there_are(file: Path) -> None:
    text = "from math import sqrt\ndef make(): ...\ndef other(): ..."
    with pytest.raises(RecipeError, match=r"own.py has no function 'build'. Functions in it: make, other\."):
        call(file, text)


def test_failing_file_is_named_with_its_error(file: Path) -> None:
    with pytest.raises(ModelError, match=r"own.py: the file failed: ZeroDivisionError"):
        call(file, "1 / 0")
    with pytest.raises(ModelError, match=r"own.py: the file failed: SyntaxError"):
        call(file, "def build(:")
    with pytest.raises(ModelError, match=r"own.py: build\(\) failed: KeyError"):
        call(file, "def build(): return {}[0]")


def test_import_of_tensorflow_is_refused_with_the_way_out(file: Path) -> None:
    with pytest.raises(ModelError, match=r"No module named 'tensorflow.*write `import keras`"):
        call(file, "from tensorflow import keras")
