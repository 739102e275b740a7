"""What public calls give and raise can be imported from `fittingroom`."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

import fittingroom
from fittingroom import errors
from tests.contracts.source import source_files

CLASSES = {
    node.name
    for path in source_files()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    if isinstance(node, ast.ClassDef)
}


def given_types(value: Any) -> set[str]:
    """The names of our classes that a public function, or the public methods of a public class, give."""
    if inspect.isclass(value):
        members = [member for name, member in inspect.getmembers(value) if not name.startswith("_")]
        return set().union(*(given_types(member) for member in members if not inspect.isclass(member)))
    function = value.fget if isinstance(value, property) else getattr(value, "func", value)
    if not inspect.isfunction(function) or not function.__module__.startswith("fittingroom"):
        return set()
    return set(re.findall(r"(?<![.\w])\w+", str(function.__annotations__.get("return", "")))) & CLASSES


CALLED = [name for name in fittingroom.__all__ if not inspect.isclass(getattr(fittingroom, name))]


@pytest.mark.parametrize("name", [*CALLED, "Dataset", "FittedRun", "Run"])
def test_what_a_public_call_gives_can_be_imported_from_the_package(name: str) -> None:
    assert given_types(getattr(fittingroom, name)) - set(fittingroom.__all__) == set()


def test_every_error_can_be_imported_from_the_package() -> None:
    names = {
        name for name, value in vars(errors).items() if inspect.isclass(value) and value.__module__ == errors.__name__
    }
    assert names <= set(fittingroom.__all__)
    assert len(names) > 8


def test_a_name_that_is_gone_says_what_to_use_instead() -> None:
    with pytest.raises(AttributeError, match=r"fittingroom\.open_replicas is gone\. .*open_run opens it"):
        getattr(fittingroom, "open_replicas")  # noqa: B009 - for the type checker, it is not there
    with pytest.raises(AttributeError, match=r"fittingroom\.Replicas is gone\. .*gives a Run"):
        getattr(fittingroom, "Replicas")  # noqa: B009


def test_every_public_name_is_listed_once_and_comes_from_the_module_that_defines_it() -> None:
    stub = Path(fittingroom.__file__).with_suffix(".pyi").read_text(encoding="utf-8")
    listed = re.findall(r"^from (\S+) import (\w+) as (\w+)$", stub, re.MULTILINE)
    assert sorted(name for _, name, _ in listed) == fittingroom.__all__
    assert len(set(fittingroom.__all__)) == len(listed) > 40
    for module, name, public in listed:
        assert public == name
        assert getattr(fittingroom, name).__module__ == module
    assert set(dir(fittingroom)) == {*fittingroom.__all__, "__version__"}
