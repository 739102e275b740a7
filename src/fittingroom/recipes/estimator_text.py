"""A classifier with scikit-learn's interface: the setting `MODULE:EXPRESSION`, read without importing or running it.

`sklearn.svm:SVC(C=10)` names scikit-learn's own class with literal arguments, which needs no trust. Any other module,
or an expression that does more, is code of the user's own: it runs only where the user says that it may.
"""

from __future__ import annotations

import ast
import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.machinery import PathFinder
from pathlib import Path

from fittingroom.atomic import read_file
from fittingroom.errors import RecipeError

_LONGEST = 2_000  # characters
_LARGEST = 16 * 2**20  # bytes of a module
_FORM = "MODULE:EXPRESSION, for example 'sklearn.svm:SVC(C=10)' or 'sklearn.pipeline:make_pipeline(PCA(50), SVC())'"
# What a stranger's recipe must not set: files that are read again as pickles, further processes, lines on the screen.
_NOT_LITERAL = {
    "memory": "it would read and write files of its own",
    "n_jobs": "a training uses one core; several run side by side as seeds or cells",
    "verbose": "it would print between our own lines",
}


@dataclass(frozen=True)
class EstimatorText:
    """A classifier as a recipe names it.

    Args:
        module: `sklearn.svm`, or the module or the file (`mine.py`) of the user's own.
        expression: what makes the classifier, evaluated among the module's names, in Python's plain spelling.
    """

    module: str
    expression: str

    @classmethod
    def of(cls, setting: str) -> EstimatorText:
        """The classifier that `MODULE:EXPRESSION` names. Nothing is imported, opened or evaluated.

        Raises:
            RecipeError: the setting has another form, or is not an expression of Python's.
        """
        module, colon, expression = setting.partition(":")
        module = module.strip()
        is_module = module.endswith(".py") or all(part.isidentifier() for part in module.split("."))
        if not (colon and is_module and expression.strip() and setting.isprintable() and len(setting) <= _LONGEST):
            raise RecipeError(f"estimator = {_short(setting)}: expected {_FORM}.")
        try:
            node = ast.parse(expression.strip(), mode="eval").body
            plain = ast.unparse(node)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            reason = error.msg if isinstance(error, SyntaxError) else type(error).__name__
            raise RecipeError(f"estimator = {_short(setting)}: expected {_FORM}; {reason}.") from error
        return cls(module, plain)

    def beside(self, folder: Path) -> EstimatorText:
        """The same with the relative path of a file counted from a folder; a module stays as it is."""
        return replace(self, module=str(folder / self.module)) if self.module.endswith(".py") else self

    @property
    def text(self) -> str:
        """The setting in its plain spelling."""
        return f"{self.module}:{self.expression}"

    @property
    def name(self) -> str:
        """The name of the last class or function that the expression calls, such as `SVC`; of a name, the name."""
        calls = [node for node in ast.walk(self.node) if isinstance(node, ast.Call)]
        last = max(calls, key=lambda call: (call.lineno, call.col_offset), default=None)
        return ast.unparse(self.node if last is None else last.func)[:100]

    @cached_property
    def node(self) -> ast.expr:
        """The expression's syntax tree."""
        return ast.parse(self.expression, mode="eval").body

    @property
    def is_of_sklearn(self) -> bool:
        """Whether the module is one of scikit-learn's."""
        return self.module.split(".")[0] == "sklearn" and not self.module.endswith(".py")

    def why_trust_is_needed(self) -> str | None:
        """Why the text is code that the user must trust; None for scikit-learn's own classes with literal arguments.

        Whether scikit-learn has such a class is not looked up.
        """
        if not self.is_of_sklearn:
            return f"{self.module} is not a module of scikit-learn"
        if any(part.startswith("_") for part in self.module.split(".")):
            return f"{self.module} is not a public module of scikit-learn"
        if isinstance(self.node, ast.Name):
            return f"{self.node.id!r} is not called: write {self.node.id}()"
        return _more_than_literal(self.node)

    def file(self) -> Path | None:
        """The file of the user's own module, found without importing it; None for scikit-learn's, or for no file.

        A module is looked for in the working folder first, and then as Python does.
        """
        if self.is_of_sklearn:
            return None
        if self.module.endswith(".py"):
            return Path(self.module)
        parts = self.module.split(".")
        return _file_of(parts, ["."]) or _file_of(parts, None)

    def digest(self) -> str:
        """What counts of the setting in a recipe's digest: the text, and the contents of the user's own module.

        Raises:
            RecipeError: the module's file is not found or cannot be read.
        """
        if self.is_of_sklearn:
            return self.text
        file = self.file()
        if file is None:
            raise RecipeError(
                f"estimator = {_short(self.text)}: there is no module {self.module!r} in the working folder or where "
                "Python looks. Give its file: FILE.py:EXPRESSION."
            )
        try:
            content = read_file(file, _LARGEST)
        except OSError as error:
            raise RecipeError(f"the estimator's file {file} cannot be read: {error.strerror}.") from error
        return hashlib.sha256(content + b"\0" + self.expression.encode()).hexdigest()


def _short(text: str) -> str:
    shown = repr(text)
    return shown if len(shown) <= 120 else f"{shown[:117]}..."


def _file_of(parts: list[str], search: list[str] | None) -> Path | None:
    """The file of a module, from its package's folder down, without importing the packages above it."""
    for place, part in enumerate(parts):
        spec = PathFinder.find_spec(part, search)
        if spec is None:
            return None
        if place == len(parts) - 1:
            return None if spec.origin is None else Path(spec.origin)
        search = list(spec.submodule_search_locations or [])
    return None


def _more_than_literal(node: ast.expr) -> str | None:
    """What in an expression is more than calls of plain names with literal arguments; None for nothing."""
    if isinstance(node, ast.Call):
        if not isinstance(node.func, ast.Name) or node.func.id.startswith("_"):
            return f"{ast.unparse(node.func)!r} is not the plain name of a class"
        for keyword in node.keywords:
            if keyword.arg is None or keyword.arg in _NOT_LITERAL:
                reason = _NOT_LITERAL.get(keyword.arg or "", "it is not a literal argument")
                return f"{ast.unparse(keyword)!r}: {reason}"
        inner: list[ast.expr] = [*node.args, *(keyword.value for keyword in node.keywords)]
    elif isinstance(node, ast.List | ast.Tuple):
        inner = node.elts
    elif isinstance(node, ast.Dict):
        inner = [*(key for key in node.keys if key is not None), *node.values]
    else:
        try:
            ast.literal_eval(node)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            return f"{ast.unparse(node)!r} is not a literal argument"
        return None
    return next((why for one in inner if (why := _more_than_literal(one)) is not None), None)
