from __future__ import annotations

import os
import platform

import jax

import fittingroom
from fittingroom.runs.record import Environment


def test_it_names_what_is_installed_and_what_it_runs_on() -> None:
    environment = Environment.current("cpu", 1, 2)
    assert environment.versions["jax"] == jax.__version__
    assert environment.versions["fittingroom"] == fittingroom.__version__
    assert environment.versions["python"] == platform.python_version()
    assert 1 <= environment.cores <= (os.cpu_count() or 1)
    assert environment.processor
    assert platform.machine() in environment.platform
    assert (environment.device, environment.threads) == ("cpu", 1)
