"""Programs of a recipe, kept in the cache folder as JAX exports: a second training needs neither Keras nor tracing.

Building a Keras model and tracing it takes longer than an epoch of the course's model. What they give depends only on
the recipe, the shapes and the versions, so it is kept under a key made of these.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import jax
from jax import export

from fittingroom.data.cache import cache_dir
from fittingroom.engine.blueprint import Blueprint
from fittingroom.engine.epoch import Examples, Outcomes
from fittingroom.engine.mesh import SharedProgram, everywhere
from fittingroom.engine.programs import ProgramName, TracedPrograms, shapes_of
from fittingroom.engine.state import State
from fittingroom.errors import StorageError
from fittingroom.files import read_checked, write_checked


class Origin(Protocol):
    """Where programs and blueprint come from when the cache does not have them: a Keras model."""

    def trace(self) -> tuple[Blueprint, TracedPrograms]:
        """Builds the model. Slow: imports Keras."""
        ...


def program_key(*parts: object) -> str:
    """The name of a cache folder for programs decided by `parts`, this version of the code, and the platform."""
    versions = [version(name) for name in ("fittingroom", "jax", "jaxlib", "keras")]
    text = json.dumps([parts, versions, _source_digest(), jax.default_backend()], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@cache
def _source_digest() -> str:
    """A hash of the code that makes programs, so that changing it cannot leave old programs in use."""
    root = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for path in sorted([*(root / "engine").glob("*.py"), *(root / "recipes").glob("*.py")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()


class ExportedPrograms:
    """A source of programs that reads them from the cache, and puts there what it had to trace.

    Args:
        key: the name of the cache folder, from `program_key`.
        origin: where programs come from when the cache does not have them.
        devices: the most devices that may share a batch.
    """

    def __init__(self, key: str, origin: Origin, *, devices: int = 1) -> None:
        self._key = key
        self._folder = cache_dir() / "programs" / key
        self._origin = origin
        self._devices = devices
        self._traced: tuple[Blueprint, TracedPrograms] | None = None

    def on(self, devices: int) -> ExportedPrograms:
        """The same programs, in which up to so many devices share a batch."""
        other = ExportedPrograms(self._key, self._origin, devices=devices)
        other._traced = self._traced
        return other

    def blueprint(self) -> Blueprint:
        """The blueprint of the model."""
        kept = read_checked(self._folder / "blueprint.json")
        if kept is not None:
            return Blueprint.from_json(json.loads(kept))
        blueprint, _ = self._trace()
        self._keep("blueprint.json", json.dumps(blueprint.to_json()).encode())
        return blueprint

    def compile(self, name: ProgramName, arguments: tuple[Any, ...]) -> Callable[..., Any]:
        """The program `name`, compiled for arguments of these shapes."""
        exported = self._exported(name, arguments)
        devices = exported.nr_devices
        with _without_lapack(exported):
            if devices == 1:
                return jax.jit(exported.call).lower(*arguments).compile()
            whole = everywhere(devices)
            shared = jax.jit(exported.call, in_shardings=whole, out_shardings=whole)
            return SharedProgram(shared.lower(*shapes_of(arguments)).compile(), devices)

    def _exported(self, name: ProgramName, arguments: tuple[Any, ...]) -> export.Exported:
        _register_types()
        shapes = shapes_of(arguments)
        file = f"{name}-{self._devices}-{hashlib.sha256(str(shapes).encode()).hexdigest()[:16]}.jax"
        kept = read_checked(self._folder / file)
        if kept is not None:
            return export.deserialize(bytearray(kept))
        _, traced = self._trace()
        function, _ = traced.on(self._devices).jitted(name, arguments)
        exported = export.export(function)(*shapes)
        self._keep(file, bytes(exported.serialize()))
        return exported

    def _trace(self) -> tuple[Blueprint, TracedPrograms]:
        if self._traced is None:
            self._traced = self._origin.trace()
        return self._traced

    def _keep(self, file: str, content: bytes) -> None:
        """Writes a cache file. A cache that cannot be written only costs time next time."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_checked(self._folder / file, content)
        except (OSError, StorageError):
            return


@contextmanager
def _without_lapack(exported: export.Exported) -> Iterator[None]:
    """Compiles an exported program without waiting for LAPACK, unless the program mentions it.

    JAX imports SciPy's LAPACK before it compiles any exported program, in case it is called; that takes 0.15 s, a
    quarter of the time to evaluate a run. There is no public switch, so a private function is put aside meanwhile; if
    it is gone one day, JAX just does as before.
    """
    from jax._src.export import _export

    name = "_ensure_backends_initialized"
    if b"lapack" in exported.mlir_module_serialized or not hasattr(_export, name):
        yield
        return
    initialize = getattr(_export, name)
    setattr(_export, name, lambda _platforms: None)
    try:
        yield
    finally:
        setattr(_export, name, initialize)


@cache
def _register_types() -> None:
    for kind in (State, Examples, Outcomes):
        export.register_namedtuple_serialization(kind, serialized_name=f"fittingroom.{kind.__name__}")
