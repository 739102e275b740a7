"""Which activation a model's outputs come from: read off the operations, since layers can hold anything.

What is traced is the last layer alone, or, of a model that is code, the whole forward pass. Nothing is computed or
compiled.
"""

from __future__ import annotations

from typing import Any

import jax
import keras
import numpy as np

_INPUT = "input"  # what comes in goes out, but for its shape, its type or an average
_UNCHANGED = ("convert_element_type", "reshape", "squeeze", "copy", "broadcast_in_dim", "transpose", "stop_gradient")
_LINEAR = ("dot_general", "conv_general_dilated")
_NAMED = {
    *("relu", "relu6", "leaky_relu", "log_softmax", "softmax", "sigmoid", "log_sigmoid", "softplus", "elu", "selu"),
    *("gelu", "silu", "celu", "hard_sigmoid", "hard_tanh", "hard_silu", "sparse_plus", "sparsemax", "soft_sign"),
}
_PRIMITIVES = {"logistic": "sigmoid", "tanh": "tanh", "exp": "exponential"}


def last_activation(model: keras.Model) -> str:
    """The name of the last activation, `linear` where there is none, or an empty string where it cannot be known.

    Args:
        model: built, or else one whose layers name their activations.
    """
    try:
        if type(model).call.__qualname__ in ("Functional.call", "Sequential.call"):
            return _behind_tensor(model.outputs[0])
        (shape,) = keras.tree.map_shape_structure(tuple, list(model._build_shapes_dict.values()))
        return _traced(model, [keras.KerasTensor(shape, dtype=model.compute_dtype)])[0]
    except Exception:  # not built yet, or a user's layer that cannot be traced by itself
        return _named(model.layers[-1]) if model.layers else ""


def crossentropy_for(model: keras.Model) -> Any:
    """The cross-entropy of classes that the model's last activation asks for: of logits, or of probabilities."""
    gives_probabilities = last_activation(model) in ("softmax", "sigmoid", "hard_sigmoid", "softplus", "exponential")
    return keras.losses.SparseCategoricalCrossentropy(from_logits=not gives_probabilities)


def _behind_tensor(tensor: Any) -> str:
    """The activation behind a symbolic tensor of a graph of layers."""
    while True:
        operation, node, _ = tensor._keras_history
        if isinstance(operation, keras.layers.InputLayer):
            return _INPUT
        if getattr(type(operation).call, "__qualname__", "") in ("Functional.call", "Sequential.call"):
            name, index = _behind_tensor(operation.outputs[0]), 0
        else:
            name, index = _traced(operation, operation._inbound_nodes[node].input_tensors)
        if name != _INPUT:
            return name
        tensor = operation._inbound_nodes[node].input_tensors[index]


def _traced(operation: Any, tensors: list[Any]) -> tuple[str, int]:
    """The activation in which a layer ends; or that it ends in one of its inputs, and in which."""
    if (name := _named(operation)) not in ("", "linear"):
        return name, 0
    specs = [jax.ShapeDtypeStruct([side or 1 for side in tensor.shape], tensor.dtype) for tensor in tensors]

    def call(*inputs: Any) -> Any:
        with keras.StatelessScope():
            return operation(*inputs)

    jaxpr = jax.make_jaxpr(call)(*specs).jaxpr
    return _behind(jaxpr, jaxpr.outvars[0])


def _named(layer: Any) -> str:
    """The name of an activation of Keras's that a layer has as its own; an empty string where it has none."""
    name = str(getattr(getattr(layer, "activation", None), "__name__", ""))
    return name if name in vars(keras.activations) else ""


def _behind(jaxpr: Any, variable: Any) -> tuple[str, int]:
    """The activation that gives a variable of a traced program; or that it is one of the inputs, and which."""
    equations = {output: equation for equation in jaxpr.eqns for output in equation.outvars}
    while variable not in jaxpr.invars:
        equation = None if _is_literal(variable) else equations.get(variable)
        if equation is None:
            return "", 0
        inner = equation.params.get("jaxpr") or equation.params.get("call_jaxpr")
        if equation.primitive.name in _UNCHANGED or _averages(equations, equation):
            variable = equation.invars[0]
        elif inner is None or equation.params.get("name") in _NAMED:
            return _name(equations, equation), 0
        else:
            inner = getattr(inner, "jaxpr", inner)
            name, index = _behind(inner, inner.outvars[equation.outvars.index(variable)])
            if name != _INPUT:
                return name, 0
            variable = equation.invars[index]
    return _INPUT, jaxpr.invars.index(variable)


def _name(equations: dict[Any, Any], equation: Any) -> str:
    """The activation that one operation is."""
    name = equation.primitive.name
    if equation.params.get("name") in _NAMED:
        return str(equation.params["name"])
    if name in _LINEAR:
        return "linear"
    if name == "add" and any(_source(equations, part) in _LINEAR for part in equation.invars):
        return "linear"
    if name == "max" and any(_is_zero(part) for part in equation.invars):
        return "relu"
    if name == "div" and [_source(equations, part) for part in equation.invars] == ["exp", "reduce_sum"]:
        return "softmax"
    return _PRIMITIVES.get(name, "")


def _averages(equations: dict[Any, Any], equation: Any) -> bool:
    """Whether this is a part of a mean over places, which leaves probabilities what they are."""
    if equation.primitive.name == "reduce_sum":
        return True
    divided = equation.primitive.name in ("div", "mul") and _is_literal(equation.invars[1])
    return divided and _source(equations, equation.invars[0]) == "reduce_sum"


def _source(equations: dict[Any, Any], variable: Any) -> str:
    """The name of the operation that computes a variable, past what only changes its form."""
    while not _is_literal(variable) and variable in equations:
        equation = equations[variable]
        if equation.primitive.name not in _UNCHANGED:
            return str(equation.primitive.name)
        variable = equation.invars[0]
    return ""


def _is_literal(variable: Any) -> bool:
    """Whether an operand of a traced program is a number written into it."""
    return hasattr(variable, "val")


def _is_zero(variable: Any) -> bool:
    return _is_literal(variable) and bool(np.all(np.asarray(variable.val) == 0))
