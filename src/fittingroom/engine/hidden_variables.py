"""Variables of a Keras model whose values are found only when somebody looks at them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from fittingroom.engine.state import State, Variables


class HiddenVariables:
    """The variables of a model, which can be asked to find out whether somebody looks at them.

    While they are hidden, each is an object of a subclass of its own class, in which the attribute that holds the value
    is a property. Whoever reads or sets a value, by whatever method, or freezes a variable, comes through there. The
    learning rate may be read without that: no step changes it.

    Args:
        variables: those of the model.
    """

    def __init__(self, variables: Variables) -> None:
        self._variables = variables
        self._find: Callable[[], State] | None = None
        self._shown: State | None = None
        self.is_hidden = False

    @staticmethod
    def can_hide(variables: Variables) -> bool:
        """Whether the variables are ordinary objects."""
        return all(type(type(one)) is type and "_value" in vars(one) for one in variables.all)

    def hide(self, find: Callable[[], State]) -> None:
        """Hides the values, which `find` gives to whoever looks first."""
        self._find = find
        if not self.is_hidden:
            for one in self._variables.all:
                one.__class__ = _hiding(one.__class__, is_constant=one is self._variables.learning_rate)
                vars(one)[_HIDDEN] = self
            self.is_hidden = True

    def look(self) -> State:
        """Shows the values, if they are hidden, and returns the state that has them."""
        if self.is_hidden:
            self.reveal()
            assert self._find is not None
            self._shown = self._find()
            if not self._variables.show(self._shown):
                raise AssertionError("a state that a program returns has an array for each variable")
        assert self._shown is not None
        return self._shown

    def reveal(self) -> None:
        """Makes the variables ordinary again, whatever they hold."""
        if self.is_hidden:
            for one in self._variables.all:
                one.__class__ = type(one).__bases__[0]
                del vars(one)[_HIDDEN]
            self.is_hidden = False


_HIDDEN = "_fittingroom_hidden"


@cache
def _hiding(kind: type, *, is_constant: bool) -> type:
    """A subclass for variables of this class while they are hidden; one that is constant may be read."""

    def look(variable: Any) -> None:
        vars(variable)[_HIDDEN].look()  # afterwards its class is that of before

    def get_value(variable: Any) -> Any:
        if is_constant:
            return vars(variable)["_value"]
        look(variable)
        return variable._value

    def set_value(variable: Any, value: Any) -> None:
        look(variable)
        variable._value = value

    def get_trainable(variable: Any) -> Any:
        return variable._trainable

    def set_trainable(variable: Any, value: Any) -> None:
        look(variable)
        variable.trainable = value

    def reduced(variable: Any, protocol: Any) -> Any:
        look(variable)
        return variable.__reduce_ex__(protocol)

    return type(
        kind.__name__,
        (kind,),
        {
            "_value": property(get_value, set_value),
            "trainable": property(get_trainable, set_trainable),
            "__reduce_ex__": reduced,
            "__module__": kind.__module__,
            "__qualname__": kind.__qualname__,
        },
    )
