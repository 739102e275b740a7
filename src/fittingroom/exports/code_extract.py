"""`CodeExtract`: the source of what one module needs of the package, and of nothing else, as files of their own.

The program that an exported folder holds must answer as `predict` does, so it is the same code: of each module, those
functions, classes and methods that the program reaches, with their comments and docstrings. No second version has to be
kept equal to the first.

What is reached is read from the syntax. A name reaches what it is imported from; `Class.method`, `cls.method` and
`self.method` that method; and `value.method` every method of that name that belongs to values. That is more than is
needed where names are common, and never less: the code of this package looks nothing up by a name in a string.
Annotations reach nothing; a class that only they name is written as `Any`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

_PACKAGE = "fittingroom"
_ROOT = Path(__file__).parents[1]

_Definition = ast.FunctionDef | ast.ClassDef
_MOST_EMPTY_LINES = re.compile(r"\n{4,}")


@dataclass(frozen=True, eq=False)
class CodeExtract:
    """The files of a program.

    Args:
        main: the module that the program begins in, of which everything is needed, such as `fittingroom.a.b`.
        folder: the name of the folder, a package, that all other modules are put into.
        instead: third-party imports in functions -> the module of ours that takes their place.
        as_they_are: modules whose third-party imports are left as they are.
        left_out: methods that are not needed although they are named: `fittingroom.a.b.Class.method`.
    """

    main: str
    folder: str
    instead: Mapping[str, str]
    as_they_are: Sequence[str] = ()
    left_out: Sequence[str] = ()

    def files(self) -> dict[str, str]:
        """Name -> text, in order of their names."""
        reached = _Reached(self.left_out)
        for begun in (self.main, *self.instead.values()):
            reached.all_of(begun)
        reached.follow()
        texts = {}
        for name, module in reached.modules.items():
            short = name.rpartition(".")[2]
            text = module.text(reached, keep_all=name in {self.main, *self.instead.values()})
            dots = f"{self.folder}." if name == self.main else "."
            text = re.sub(rf"from {_PACKAGE}\.(?:\w+\.)*(\w+) import", rf"from {dots}\1 import", text)
            if name not in self.as_they_are:
                for line, other in self.instead.items():
                    known_as = line.rpartition(" ")[2]
                    short_name = other.rpartition(".")[2]
                    text = re.sub(rf"^( +){line}$", rf"\1from . import {short_name} as {known_as}", text, flags=re.M)
            texts[f"{short}.py" if name == self.main else f"{self.folder}/{short}.py"] = text
        return dict(sorted(texts.items()))


@dataclass(eq=False)
class _Reached:
    """What is needed so far.

    Args:
        left_out: methods that never are.
        modules: by name.
        names: of things at the top of modules: (module, name).
        methods: (module, class, method).
        attributes: that are asked of values of any class.
    """

    left_out: Sequence[str]
    modules: dict[str, _Module] = field(default_factory=dict)
    names: set[tuple[str, str]] = field(default_factory=set)
    methods: set[tuple[str, str, str]] = field(default_factory=set)
    attributes: set[str] = field(default_factory=set)
    _left: list[tuple[_Module, ast.AST, str]] = field(default_factory=list)  # each with the class that it is in

    def all_of(self, module: str) -> None:
        """Needs everything at the top of a module."""
        for name in self._module(module).statements:
            self._need(module, name)
        for place in self._module(module).imports.values():
            self._need(*place)
        for name, statement in self._module(module).statements.items():
            for method in _methods(statement):
                self._need_method(module, name, method.name)

    def follow(self) -> None:
        """Needs what those need that are needed, until nothing is new."""
        while self._left:
            while self._left:
                self._read(*self._left.pop())
            for name, key in list(self.names):
                statement = self.modules[name].statements[key]
                for method in _methods(statement):
                    if method.name in self.attributes and not _is_of_class(method):
                        self._need_method(name, key, method.name)

    def _module(self, name: str) -> _Module:
        if name not in self.modules:
            self.modules[name] = _Module(name)
        return self.modules[name]

    def _need(self, module: str, name: str) -> None:
        found = self._module(module)
        if name not in found.statements or (module, name) in self.names:
            return
        self.names.add((module, name))
        statement = found.statements[name]
        if isinstance(statement, ast.ClassDef):
            own = [part for part in statement.body if not isinstance(part, ast.FunctionDef)]
            for part in [*own, *statement.decorator_list, *statement.bases]:
                self._left.append((found, part, name))
            for method in _methods(statement):
                if _is_magic(method.name):
                    self._need_method(module, name, method.name)
        else:
            self._left.append((found, statement, ""))

    def _need_method(self, module: str, name: str, method: str) -> None:
        if (module, name, method) in self.methods or f"{module}.{name}.{method}" in self.left_out:
            return
        statement = self.modules[module].statements[name]
        for one in _methods(statement):
            if one.name == method:
                self.methods.add((module, name, method))
                self._left.append((self.modules[module], one, name))

    def _read(self, module: _Module, node: ast.AST, inside: str) -> None:
        """Needs what a part of a module names; `inside` is the class that it is in."""
        for part in _parts(node):
            if isinstance(part, ast.Name):
                self._need(*module.origin(part.id))
            elif isinstance(part, ast.Attribute):
                owner = part.value.id if isinstance(part.value, ast.Name) else ""
                place = (module.name, inside) if owner in {"cls", "self"} and inside else module.origin(owner)
                statement = self._statement(*place) if owner else None
                if isinstance(statement, ast.ClassDef) and (owner not in {"cls", "self"} or not statement.bases):
                    self._need(*place)
                    self._need_method(*place, part.attr)
                else:
                    self.attributes.add(part.attr)

    def _statement(self, module: str, name: str) -> ast.stmt | None:
        return self._module(module).statements.get(name)


class _Module:
    """The source of a module of the package."""

    def __init__(self, name: str) -> None:
        self.name = name
        path = _ROOT.joinpath(*name.split(".")[1:])
        self._text = path.with_suffix(".py").read_text(encoding="utf-8")
        self._lines = self._text.splitlines()
        self._tree = ast.parse(self._text)

    @cached_property
    def statements(self) -> dict[str, ast.stmt]:
        """What defines each name at the top of the module, but for imports."""
        found: dict[str, ast.stmt] = {}
        for statement in self._tree.body:
            for name in _defined(statement):
                found[name] = statement
        return found

    @cached_property
    def imports(self) -> dict[str, tuple[str, str]]:
        """The module and the name there of each name that is imported from the package, anywhere in the module."""
        return {
            alias.asname or alias.name: (node.module or "", alias.name)
            for node in ast.walk(self._tree)
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{_PACKAGE}.")
            for alias in node.names
        }

    def origin(self, name: str) -> tuple[str, str]:
        """The module that defines a name, and what it is called there; this module for names that nothing imports."""
        return self.imports.get(name, (self.name, name))

    def text(self, reached: _Reached, *, keep_all: bool) -> str:
        """The module with what is needed of it alone."""
        code = ""
        before: ast.stmt | None = None
        body = self._tree.body
        for number, statement in enumerate(body):
            names = list(_defined(statement))
            needed = any((self.name, name) in reached.names for name in names)
            if not (needed or (keep_all and not names and not _is_import(statement) and number)):
                continue
            following = body[number + 1] if number + 1 < len(body) else None
            last = following if names and _is_text(following) and not isinstance(statement, _Definition) else statement
            apart = "\n" if _is_value(before) and _is_value(statement) and last is statement else "\n\n\n"
            code += (apart if code else "") + "\n".join(self._written(statement, last or statement, reached))
            before = statement if last is statement else None
        docstring = ast.get_docstring(self._tree, clean=False) or ""
        head = f'"""{docstring}"""\n\nfrom __future__ import annotations\n'
        imports = self._import_lines(code, keep_all=keep_all)
        return _tidy("\n\n".join(part for part in (head.rstrip(), imports, code) if part) + "\n")

    def _written(self, statement: ast.stmt, last: ast.stmt, reached: _Reached) -> list[str]:
        """The lines of a statement, with the comment above it, without the methods that are not needed."""
        dropped: set[int] = set()
        if isinstance(statement, ast.ClassDef):
            for method in _methods(statement):
                if (self.name, statement.name, method.name) not in reached.methods:
                    dropped |= set(range(_first_line(method), (method.end_lineno or 0) + 1))
        start = _first_line(statement)
        while start > 1 and self._lines[start - 2].startswith("#"):
            start -= 1
        lines = {
            line: self._lines[line - 1] for line in range(start, (last.end_lineno or 0) + 1) if line not in dropped
        }
        for node in sorted(self._only_annotated(statement, reached), key=lambda node: -node.col_offset):
            if (line := lines.get(node.lineno)) is not None:
                lines[node.lineno] = f"{line[: node.col_offset]}Any{line[node.end_col_offset :]}"
        return list(lines.values())

    def _only_annotated(self, statement: ast.stmt, reached: _Reached) -> Iterator[ast.Name]:
        """Names in annotations of what is not needed."""
        for node in _parts(statement, annotations=True):
            if isinstance(node, ast.Name):
                place = self.origin(node.id)
                known = place[0] != self.name or node.id in self.statements
                if known and place not in reached.names:
                    yield node

    def _import_lines(self, code: str, *, keep_all: bool) -> str:
        """The imports of the module whose names the code has, and `Any` where that has come into it."""
        used = {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}
        groups: dict[bool, list[str]] = {False: [], True: []}
        checked: list[str] = []
        for statement in self._tree.body:
            for_types = isinstance(statement, ast.If)
            for node in statement.body if isinstance(statement, ast.If) else [statement]:
                if isinstance(node, ast.Import | ast.ImportFrom) and getattr(node, "module", "") != "__future__":
                    known_as = {(alias.asname or alias.name).partition(".")[0]: alias for alias in node.names}
                    names = [alias for name, alias in known_as.items() if keep_all or name in used]
                    if not names:
                        continue
                    line = ast.unparse(type(node)(**{**vars(node), "names": names}))
                    ours = line.startswith(f"from {_PACKAGE}")
                    (checked if for_types else groups[ours]).append(line)
        there = {
            name for line in groups[False] if line.startswith("from typing import ") for name in line[19:].split(", ")
        }
        typing = there | ({"TYPE_CHECKING"} if checked else set()) | ({"Any"} if "Any" in used else set())
        groups[False] = [line for line in groups[False] if not line.startswith("from typing import ")]
        if typing:
            groups[False].append(f"from typing import {', '.join(sorted(typing))}")
        libraries = [line for line in groups[False] if line.split()[1].startswith("numpy")]
        standard = sorted((line for line in groups[False] if line not in libraries), key=_order)
        own = sorted(groups[True], key=_order)
        lines = ["\n".join(group) for group in (standard, libraries, own) if group]
        if checked:
            lines.append("\n".join(["if TYPE_CHECKING:", *(f"    {line}" for line in checked)]))
        return "\n\n".join(lines) + ("\n" if lines else "")


def _parts(node: ast.AST, *, annotations: bool = False) -> Iterator[ast.AST]:
    """All parts of the syntax below a node, and itself; or all that are in annotations alone."""
    if not annotations:
        yield node
    for name, value in ast.iter_fields(node):
        for part in value if isinstance(value, list) else [value]:
            if not isinstance(part, ast.AST):
                continue
            if name in {"annotation", "returns"}:
                yield from ast.walk(part) if annotations else ()
            else:
                yield from _parts(part, annotations=annotations)


def _methods(statement: ast.AST) -> list[ast.FunctionDef]:
    return [part for part in getattr(statement, "body", ()) if isinstance(part, ast.FunctionDef)]


def _is_magic(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def _is_of_class(method: ast.FunctionDef) -> bool:
    """Whether it is called by the name of the class."""
    names = {one.id for one in method.decorator_list if isinstance(one, ast.Name)}
    return bool(names & {"classmethod", "staticmethod"})


def _is_import(statement: ast.stmt) -> bool:
    """Whether it is an import, or imports for the checker of types alone."""
    if isinstance(statement, ast.If) and isinstance(statement.test, ast.Name):
        return statement.test.id == "TYPE_CHECKING"
    return isinstance(statement, ast.Import | ast.ImportFrom)


def _is_value(statement: ast.stmt | None) -> bool:
    return isinstance(statement, ast.Assign | ast.AnnAssign)


def _order(line: str) -> tuple[bool, str]:
    """Where an import line stands: plain imports first, then by the last part of the module's name."""
    return line.startswith("from"), line.split()[1].rpartition(".")[2] if "fittingroom" in line else line.split()[1]


def _is_text(statement: ast.stmt | None) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _first_line(statement: ast.stmt) -> int:
    decorators = getattr(statement, "decorator_list", ())
    return min(statement.lineno, *(int(one.lineno) for one in decorators), statement.lineno)


def _defined(statement: ast.stmt) -> Iterator[str]:
    """The names that a statement at the top of a module defines."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        yield statement.name
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    for target in targets:
        for node in ast.walk(target) if target is not None else ():
            if isinstance(node, ast.Name):
                yield node.id


def _tidy(text: str) -> str:
    """No notes for our own checkers, and no more than two empty lines together."""
    text = re.sub(r"  # (noqa|type: ignore).*", "", text)
    text = re.sub(r"[ \t]+\n", "\n", text)
    text = re.sub(r"\n\n\n+( +)", r"\n\n\1", text)
    return _MOST_EMPTY_LINES.sub("\n\n\n", text)
