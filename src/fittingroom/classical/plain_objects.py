"""What skops does not take, or takes too much room for, as plain arrays and back.

skops does not trust scikit-learn's decision trees, since their nodes hold indices that scikit-learn follows unchecked:
a forged file could read any memory. Here the nodes of all trees are arrays, and every index is checked before a tree is
made of them again. Training images that a classifier keeps are stored as the bytes that they were.
"""

from __future__ import annotations

import copy
import importlib
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from fittingroom.errors import RunError

_MARK = "fittingroom"
_LARGE = 4096  # numbers; smaller arrays stay as they are
_NOTHING = object()
_TREE = "sklearn.tree._tree.Tree"
_BUNCH = "sklearn.utils._bunch.Bunch"
_PREDICTOR = "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"
# Plain Python classes of scikit-learn's that skops does not list, whose attributes are all that they are.
_PLAIN = {
    f"sklearn.calibration.{name}" for name in ("_CalibratedClassifier", "_SigmoidCalibration", "_TemperatureScaling")
}
_OPTIMIZERS = "sklearn.neural_network._stochastic_optimizers"  # only a training that continues needs them


def as_plain(estimator: Any, scale: float) -> dict[str, Any]:
    """A fitted estimator without what skops does not take, as a dictionary; `from_plain` makes it again.

    Args:
        estimator: fitted; it is not changed.
        scale: what pixels were divided by.
    """
    nodes: list[Any] = []
    values: list[Any] = []
    trees: list[list[int]] = []
    predictors: list[Any] = []

    def swap(node: Any) -> Any:
        kind = _full_name(type(node))
        if kind == _TREE:
            (features, classes, outputs), state = node.__reduce__()[1:]
            table = state["values"]
            trees.append([features, outputs, int(classes[0]), state["max_depth"], len(state["nodes"]), table.shape[2]])
            nodes.append(state["nodes"])
            values.append(table.ravel())
            return {_MARK: "tree", "number": len(trees) - 1}
        if kind == _PREDICTOR:
            predictors.append(node.nodes)
            return {_MARK: "predictor", "number": len(predictors) - 1}
        if kind in _PLAIN:
            return {_MARK: "object", "class": kind, "state": mapped(dict(vars(node)))}
        if kind == _BUNCH:
            return {_MARK: "bunch", "state": mapped(dict(node))}
        if kind.startswith(_OPTIMIZERS):
            return {_MARK: "nothing"}
        return _compact(node, scale) if isinstance(node, np.ndarray) else _NOTHING

    mapped = _Mapping(swap)
    result: dict[str, Any] = {"estimator": mapped(estimator)}
    if trees:
        result["trees"] = np.array(trees, dtype=np.int64)
        result["nodes"], result["values"] = np.concatenate(nodes), np.concatenate(values)
    if predictors:
        result["predictors"] = np.array([len(one) for one in predictors], dtype=np.int64)
        result["predictor_nodes"] = np.concatenate(predictors)
    return result


def from_plain(kept: dict[str, Any]) -> Any:
    """The estimator that `as_plain` described.

    Raises:
        RunError: the nodes of a tree point out of the tree or at features that there are not, or an object is missing.
    """
    trees = _Trees(kept) if "trees" in kept else None
    predictors = _Predictors(kept) if "predictors" in kept else None

    def swap(node: Any) -> Any:
        if not (isinstance(node, dict) and isinstance(node.get(_MARK), str)):
            return _NOTHING
        kind, values, made = node[_MARK], np.asarray(node.get("values")), None
        if kind == "tree" and trees is not None:
            made = trees.tree(int(node["number"]))
        elif kind == "predictor" and predictors is not None:
            made = predictors.predictor(int(node["number"]))
        elif kind == "object" and node["class"] in _PLAIN:
            module, _, name = node["class"].rpartition(".")
            made = object.__new__(getattr(importlib.import_module(module), name))
            vars(made).update(mapped(dict(node["state"])))
        elif kind == "bunch":
            from sklearn.utils import Bunch

            made = Bunch(**mapped(dict(node["state"])))
        elif kind == "pixels":
            made = (values.astype(np.float32) / np.float32(node["scale"])).astype(node["dtype"])
        elif kind == "narrow":
            made = values.astype(node["dtype"])
        elif kind != "nothing":
            raise RunError(f"the kept estimator is damaged: it holds an unknown part, {kind!r}.")
        return made

    mapped = _Mapping(swap)
    estimator = mapped(kept["estimator"])
    _check_features(estimator, None)
    return estimator


class _Mapping:
    """Copies an estimator with what is in it, with some objects replaced; arrays and settings are shared, not copied.

    Args:
        swap: gives what stands in place of an object, or `_NOTHING` for the object itself.
    """

    def __init__(self, swap: Callable[[Any], Any]) -> None:
        self._swap = swap
        self._done: dict[int, tuple[Any, Any]] = {}  # address -> the object, which lives as long as we do, and its copy

    def __call__(self, node: Any) -> Any:
        if id(node) in self._done:
            return self._done[id(node)][1]
        result = self._swap(node)
        if result is _NOTHING:
            result = self._copied(node)
        self._done[id(node)] = (node, result)
        return result

    def _copied(self, node: Any) -> Any:
        if isinstance(node, dict):
            table = copy.copy(node)  # perhaps of a class of its own
            for key, value in node.items():
                table[key] = self(value)
            return table
        if type(node) in {list, tuple}:
            return type(node)([self(one) for one in node])
        if isinstance(node, np.ndarray) and node.dtype == object:
            result = np.empty(node.shape, dtype=object)
            for place in np.ndindex(node.shape):
                result[place] = self(node[place])
            return result
        if hasattr(node, "get_params") and hasattr(node, "__dict__") and not isinstance(node, type):
            result = object.__new__(type(node))
            vars(result).update({name: self(value) for name, value in vars(node).items()})
            return result
        return node


def _compact(array: Any, scale: float) -> Any:
    """A large array of pixels as bytes, and one of 64 bits that 32 hold exactly with 32; `_NOTHING` for another."""
    if array.size < _LARGE or array.dtype not in {np.dtype(np.float32), np.dtype(np.float64)}:
        return _NOTHING
    narrow = array.astype(np.float32)
    if array.dtype == np.float64 and not np.array_equal(narrow, array):
        return _NOTHING
    if narrow.min() >= 0 and narrow.max() * scale <= 255.5:
        pixels = np.rint(narrow * np.float32(scale)).astype(np.uint8)
        if np.array_equal(pixels.astype(np.float32) / np.float32(scale), narrow):
            return {_MARK: "pixels", "values": pixels, "scale": float(scale), "dtype": array.dtype.name}
    return _NOTHING if array.dtype == np.float32 else {_MARK: "narrow", "values": narrow, "dtype": array.dtype.name}


class _Trees:
    """The decision trees of a kept estimator."""

    def __init__(self, kept: dict[str, Any]) -> None:
        self._rows = np.asarray(kept["trees"], dtype=np.int64).reshape(-1, 6)
        self._nodes, self._values = kept["nodes"], kept["values"]
        counts, widths = self._rows[:, 4], self._rows[:, 4] * self._rows[:, 5]
        if (self._rows < 0).any() or counts.sum() != len(self._nodes) or widths.sum() != len(self._values):
            raise RunError("the kept estimator is damaged: its trees have other sizes than it says.")
        self._starts = np.cumsum([0, *counts])
        self._value_starts = np.cumsum([0, *widths])

    def tree(self, number: int) -> Any:
        """The tree of a number.

        Raises:
            RunError: a node points out of the tree.
        """
        from sklearn.tree._tree import Tree

        features, outputs, classes, depth, count, width = (int(one) for one in self._rows[number])
        nodes = np.ascontiguousarray(self._nodes[self._starts[number] : self._starts[number + 1]])
        values = self._values[self._value_starts[number] : self._value_starts[number + 1]]
        _check_nodes(nodes["left_child"], nodes["right_child"], nodes["left_child"] == -1, nodes["feature"], features)
        if outputs != 1 or width != max(classes, 1):
            raise RunError("the kept estimator is damaged: a tree has other outputs than its classes.")
        tree = Tree(features, np.array([classes], dtype=np.intp), outputs)
        tree.__setstate__(
            {
                "max_depth": depth,
                "node_count": count,
                "nodes": nodes,
                "values": np.ascontiguousarray(values.reshape(count, 1, width)),
            }
        )
        return tree


class _Predictors:
    """The trees of a kept histogram gradient boosting."""

    def __init__(self, kept: dict[str, Any]) -> None:
        counts = np.asarray(kept["predictors"], dtype=np.int64).ravel()
        self._nodes = kept["predictor_nodes"]
        if (counts < 0).any() or counts.sum() != len(self._nodes):
            raise RunError("the kept estimator is damaged: its trees have other sizes than it says.")
        self._starts = np.cumsum([0, *counts])

    def predictor(self, number: int) -> Any:
        """The tree of a number.

        Raises:
            RunError: a node points out of the tree.
        """
        from sklearn.ensemble._hist_gradient_boosting.common import PREDICTOR_RECORD_DTYPE, X_BITSET_INNER_DTYPE
        from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor

        nodes = np.ascontiguousarray(self._nodes[self._starts[number] : self._starts[number + 1]])
        if nodes.dtype != PREDICTOR_RECORD_DTYPE:
            raise RunError("the kept estimator was written with another version of scikit-learn. Train it again.")
        if nodes["is_categorical"].any():
            raise RunError("the kept estimator is damaged: a tree asks for categories, which images do not have.")
        _check_nodes(nodes["left"], nodes["right"], nodes["is_leaf"] != 0, nodes["feature_idx"], None)
        none = np.empty((0, 8), dtype=X_BITSET_INNER_DTYPE)
        return TreePredictor(nodes, none, none)


def _check_nodes(left: Any, right: Any, leaf: Any, feature: Any, features: int | None) -> None:
    """Raises RunError where a node points anywhere but at a later node of its tree, or at a feature that there is not.

    Scikit-learn's builders number a node's children after it, so that no path can lead in a circle.
    """
    own = np.arange(len(left))
    inner = ~leaf
    for child in (left, right):
        ahead = child.astype(np.int64)[inner]
        if (ahead <= own[inner]).any() or (ahead >= len(left)).any():
            raise RunError("the kept estimator is damaged: a node of a tree points out of its tree.")
    used = feature.astype(np.int64)[inner]
    if not len(left) or (used < 0).any() or (features is not None and (used >= features).any()):
        raise RunError("the kept estimator is damaged: a tree asks for a feature that there is not.")


def _check_features(node: Any, features: int | None) -> None:
    """Raises RunError where a tree would read more features than the estimator around it has checked that there are.

    Args:
        node: an estimator, or what is in one.
        features: how many features the nearest estimator around it takes; None for none around it.
    """
    if isinstance(node, np.ndarray):
        inner: Iterable[Any] = node.ravel().tolist() if node.dtype == object else ()
    elif isinstance(node, dict):
        inner = node.values()
    else:
        inner = node if isinstance(node, list | tuple) else ()
    for one in inner:
        _check_features(one, features)
    kind, used = _full_name(type(node)), 0
    if kind == _TREE:
        used = node.n_features
    elif kind == _PREDICTOR:
        used = int(node.nodes["feature_idx"][node.nodes["is_leaf"] == 0].max(initial=-1)) + 1
    elif hasattr(node, "get_params") or kind in _PLAIN:
        own = getattr(node, "n_features_in_", features)
        for name, value in vars(node).items():
            if name == "estimators_":  # these get what their ensemble got, unchecked
                members = np.asarray(value, dtype=object).ravel()
                used = max([used, *(int(getattr(one, "n_features_in_", 0)) for one in members)])
            _check_features(value, own)
        features = own
    if used and (features is None or used > features):
        raise RunError("the kept estimator is damaged: a tree asks for more features than there are.")


def _full_name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
