"""From the text of a recipe's `estimator` to a classifier that can be fitted."""

from __future__ import annotations

import ast
import hashlib
import importlib
import inspect
import logging
import sys
from functools import cache
from types import ModuleType
from typing import Any

from fittingroom.errors import ModelError, RecipeError, UnknownNameError
from fittingroom.recipes.estimator_text import EstimatorText
from fittingroom.recipes.modelfile import RecordedFile
from fittingroom.recipes.recipe import Recipe
from fittingroom.text import word_list

_log = logging.getLogger("fittingroom")

# Where a name is looked for that the text's own module does not have, such as SVC in `sklearn.pipeline:make_pipeline`.
_PUBLIC = (
    "calibration", "decomposition", "discriminant_analysis", "dummy", "ensemble", "feature_selection",
    "gaussian_process", "gaussian_process.kernels", "kernel_approximation", "linear_model", "manifold",
    "model_selection", "multiclass", "naive_bayes", "neighbors", "neural_network", "pipeline", "preprocessing",
    "random_projection", "semi_supervised", "svm", "tree",
)  # fmt: skip
_FUNCTIONS = frozenset({"make_pipeline", "make_union"})


def new_estimator(recipe: Recipe, seed: int, *, trust: bool) -> Any:
    """The classifier of a recipe, not fitted.

    Every `random_state` that the text leaves open is the seed, inside a pipeline too, and `class_weight` is the
    recipe's where the classifier has such a parameter.

    Args:
        recipe: with an `estimator`.
        seed: of the training.
        trust: whether a module of the user's own may be imported, and an expression evaluated. Scikit-learn's own
            classes with literal arguments need no trust.

    Raises:
        RecipeError, UnknownNameError: the text needs trust, or names what scikit-learn does not have.
        ModelError: the user's own code failed, or what it gave is not a classifier.
    """
    assert recipe.estimator is not None
    text = EstimatorText.of(recipe.estimator)
    why = text.why_trust_is_needed()
    if why is None:
        estimator = _literal(text.node, text)
    elif trust:
        _log.warning("Running code of the estimator %s, because it is trusted.", text.text)
        estimator = _evaluated(text)
    else:
        raise RecipeError(
            f"estimator = {text.text!r} needs trust ({why}), and nothing of it was run. If you trust it, add "
            "--trust (in Python: trust=True)."
        )
    _check_classifier(estimator, text)
    return _seeded(estimator, seed)


def last_step(estimator: Any) -> Any:
    """The classifier itself: of a pipeline, its last step."""
    from sklearn.pipeline import Pipeline

    while isinstance(estimator, Pipeline) and estimator.steps:
        estimator = estimator.steps[-1][1]
    return estimator


def estimator_title(estimator: Any) -> str:
    """What a classifier is: the name of its class, or the steps of a pipeline."""
    steps = getattr(estimator, "steps", None)
    if not steps:
        return type(estimator).__name__
    return f"pipeline of {word_list(type(step).__name__ for _, step in steps)}"


def check_estimator(recipe: Recipe, *, trust: bool = False) -> None:
    """Refuses an estimator that could not be made, before any data are read.

    Raises:
        RecipeError, UnknownNameError, ModelError: as for `new_estimator`.
    """
    new_estimator(recipe, 0, trust=trust)


def needs_trust(recipe: Recipe) -> bool:
    """Whether the estimator of a recipe is code of the user's own."""
    return recipe.estimator is not None and EstimatorText.of(recipe.estimator).why_trust_is_needed() is not None


def estimator_file(recipe: Recipe) -> RecordedFile | None:
    """The file with the user's own estimator, for the run's record; None for scikit-learn's, or without a file.

    Its `function` is the expression. The file is found and hashed without importing it.
    """
    if recipe.estimator is None:
        return None
    text = EstimatorText.of(recipe.estimator)
    file = text.file()
    if file is None or not file.is_file():
        return None
    return RecordedFile(str(file.absolute()), text.expression, hashlib.sha256(file.read_bytes()).hexdigest())


def seed_matters(recipe: Recipe, *, trust: bool = False) -> bool:
    """Whether trainings of a recipe with different seeds can differ. True for what is not known.

    Args:
        recipe: any recipe; a network's seed always matters.
        trust: as for `new_estimator`; without it, code of the user's own counts as random.
    """
    if recipe.estimator is None or (not trust and EstimatorText.of(recipe.estimator).why_trust_is_needed()):
        return True
    return draws_random_numbers(new_estimator(recipe, 0, trust=trust))


def draws_random_numbers(estimator: Any) -> bool:
    """Whether fitting a classifier, or one of those inside it, draws random numbers. True for what is not known."""
    parts = [estimator, *(part for part in estimator.get_params().values() if hasattr(part, "get_params"))]
    return any(_is_random(part) for part in parts)


def _is_random(estimator: Any) -> bool:
    """Whether fitting this one, apart from the estimators inside it, draws random numbers."""
    settings = estimator.get_params(deep=False)
    if "random_state" not in settings:
        return not type(estimator).__module__.startswith("sklearn.")
    match type(estimator).__name__:
        case "LogisticRegression" | "RidgeClassifier":
            return settings["solver"] in {"liblinear", "sag", "saga"}
        case "SVC" | "NuSVC":
            return settings.get("probability") is True
        case "LinearSVC":
            return settings["dual"] is not False
        case "PCA":
            return settings["svd_solver"] in {"auto", "randomized", "arpack"}
        case _:
            return True


def _literal(node: ast.expr, text: EstimatorText) -> Any:
    """What an expression of scikit-learn's names and literals makes, without evaluating it as code."""
    if isinstance(node, ast.Call):
        made = _named(ast.unparse(node.func), text)
        positional = [_literal(one, text) for one in node.args]
        named = {str(one.arg): _literal(one.value, text) for one in node.keywords}
        try:
            return made(*positional, **named)
        except (TypeError, ValueError) as error:
            known = [name for name in inspect.signature(made).parameters if not name.startswith("_")]
            raise RecipeError(
                f"estimator = {text.text!r}: {ast.unparse(node)} failed: {error}. Its settings: {', '.join(known)}."
            ) from error
    if isinstance(node, ast.List):
        return [_literal(one, text) for one in node.elts]
    if isinstance(node, ast.Tuple):
        return tuple(_literal(one, text) for one in node.elts)
    if isinstance(node, ast.Dict):
        return {
            _literal(key, text): _literal(value, text)
            for key, value in zip(node.keys, node.values, strict=True)
            if key is not None
        }
    return ast.literal_eval(node)


def _named(name: str, text: EstimatorText) -> Any:
    """Scikit-learn's class of a name, in the text's module or in another public one."""
    own = _module(text)
    for module in (own, *(importlib.import_module(f"sklearn.{part}") for part in _PUBLIC)):
        if _is_allowed(getattr(module, name, None), name):
            return getattr(module, name)
    from sklearn.base import OutlierMixin, RegressorMixin

    found = {one: getattr(own, one) for one in dir(own)}
    usable = {one: made for one, made in found.items() if _is_allowed(made, one)}
    known = [
        one
        for one, made in usable.items()
        if not (isinstance(made, type) and issubclass(made, OutlierMixin | RegressorMixin))
    ]
    raise UnknownNameError(f"class of {text.module}", name, known)


def _is_allowed(found: Any, name: str) -> bool:
    if not str(getattr(found, "__module__", "")).startswith("sklearn."):
        return False
    return name in _FUNCTIONS or (isinstance(found, type) and hasattr(found, "get_params"))


@cache
def _sklearn_modules() -> list[str]:
    import sklearn

    return [f"sklearn.{name}" for name in sklearn.__all__ if name.islower()]


def _module(text: EstimatorText) -> ModuleType:
    try:
        return importlib.import_module(text.module)
    except ImportError as error:
        if text.is_of_sklearn and text.why_trust_is_needed() is None:
            raise UnknownNameError("module", text.module, _sklearn_modules()) from error
        raise ModelError(f"the module {text.module} of the estimator cannot be imported: {error}.") from error


def _evaluated(text: EstimatorText) -> Any:
    """What the user's own expression gives among the names of its module; the module's folder is on the import path."""
    file = text.file()
    folder = "" if file is None else str(file.absolute().parent)
    sys.path.insert(0, folder if text.module.endswith(".py") else "")
    try:
        if text.module.endswith(".py"):
            assert file is not None
            module = ModuleType(f"fittingroom_user_{file.stem}")
            module.__file__ = str(file)
            sys.modules[module.__name__] = module
            exec(compile(file.read_bytes(), str(file), "exec"), module.__dict__)
        else:
            module = _module(text)
        return eval(compile(text.expression, text.text, "eval"), dict(vars(module)))
    except ModelError:
        raise
    except OSError as error:
        raise RecipeError(f"the estimator's file {file} cannot be read: {error.strerror}.") from error
    except Exception as error:
        raise ModelError(f"estimator = {text.text!r} failed: {type(error).__name__}: {error}.") from error
    finally:
        sys.path.pop(0)


def _check_classifier(estimator: Any, text: EstimatorText) -> None:
    if isinstance(estimator, type):
        raise ModelError(f"estimator = {text.text!r} is a class. Add brackets: {text.text}().")
    # Of the class: a stacking has predict() only once it is fitted.
    missing = [name for name in ("fit", "predict", "get_params") if not callable(getattr(type(estimator), name, None))]
    if missing:
        raise ModelError(
            f"estimator = {text.text!r} is a {type(estimator).__name__} without {missing[0]}(); expected a classifier "
            "with scikit-learn's interface."
        )
    from sklearn.base import is_classifier

    if not is_classifier(estimator):
        raise ModelError(
            f"estimator = {text.text!r} is not a classifier by scikit-learn's account; expected one, such as "
            "sklearn.svm:SVC()."
        )


def _seeded(estimator: Any, seed: int) -> Any:
    settings = estimator.get_params(deep=True)
    open_ones = [name for name, value in settings.items() if name.split("__")[-1] == "random_state" and value is None]
    return estimator.set_params(**dict.fromkeys(open_ones, seed % 2**32)) if open_ones else estimator
