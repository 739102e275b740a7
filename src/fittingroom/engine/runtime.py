"""JAX as the engine needs it: a persistent compile cache, and the facts about the device that a run records."""

from __future__ import annotations

import functools
import os
import re
from pathlib import Path

import fittingroom
from fittingroom.data.cache import cache_dir
from fittingroom.errors import InputError

_LEAST_ADDRESSES = 2**30  # bytes; with fewer, XLA and LLVM abort the process


def prepare_jax() -> None:
    """Makes sure that JAX can run programs here, and turns on its persistent compile cache.

    Raises:
        InputError: JAX ran before this process was forked, finds no device, or is set to compile nothing.
        MemoryError: a limit is set that leaves JAX too few addresses.
    """
    check_not_forked()
    _start_jax()


def check_not_forked() -> None:
    """Raises InputError in a process that was forked after JAX had run: there, its programs would wait for ever."""
    if fittingroom.jax_ran_before_fork:
        raise InputError(
            "this process was forked from one in which JAX had already run, and JAX's threads do not survive a fork: "
            "training here would wait for ever. Start processes with multiprocessing.get_context('spawn'), or train "
            "several seeds or recipes in one call: fr.train(..., seeds=5), fr.experiment(...)."
        )


@functools.cache
def _start_jax() -> None:
    """Starts JAX's devices, and keeps compiled programs in our cache folder unless the user has chosen another.

    A folder that cannot be written is left alone, since JAX would warn about it at every program. Thresholds are zero
    because the programs here are small: the default would keep none of them.
    """
    _check_address_space()
    import jax

    if jax.config.jax_disable_jit:  # type: ignore[attr-defined]
        raise InputError(
            "JAX is set to compile nothing (JAX_DISABLE_JIT), and training is a compiled program. Unset it."
        )
    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:  # an assertion, where a platform was asked for that has no device
        chosen = jax.config.jax_platforms  # type: ignore[attr-defined]
        reason = f": {error}" if str(error) else ""
        if chosen:
            raise InputError(
                f"JAX_PLATFORMS={chosen}, but JAX finds no such device here{reason}. Unset it, or set it to cpu."
            ) from error
        named = os.environ.get("JAX_PLATFORM_NAME")
        way = f" JAX_PLATFORM_NAME={named} asks for one: unset it, or set it to cpu." if named else ""
        raise InputError(f"JAX finds no device to run on{reason}.{way}".replace("..", ".")) from error
    folder = cache_dir() / "compiled"
    if jax.config.jax_compilation_cache_dir is None and is_writable(folder):  # type: ignore[attr-defined]
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def _check_address_space() -> None:
    """Raises MemoryError under a limit (`ulimit -v`) that JAX's libraries meet by ending the process without a word."""
    try:
        found = re.search(r"^Max address space +(\d+) ", Path("/proc/self/limits").read_text(), re.MULTILINE)
    except OSError:  # not Linux
        return
    if found is not None and int(found[1]) < _LEAST_ADDRESSES:
        raise MemoryError(
            f"ulimit -v allows {int(found[1]) / 2**20:,.0f} MB of addresses, and JAX needs at least "
            f"{_LEAST_ADDRESSES >> 20:,}"
        )


def is_writable(folder: Path) -> bool:
    """Whether files can be made in a folder, which is made if it is not there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)


def device_facts() -> dict[str, str | int]:
    """The device that trains: `platform` (cpu, gpu), `kind` (as JAX names it) and `count`."""
    import jax

    devices = jax.devices()
    return {"platform": devices[0].platform, "kind": devices[0].device_kind, "count": len(devices)}


def threads_per_replica() -> int | None:
    """How many threads one arithmetic operation may use on a CPU: 1 as we set it up, None where the user decided."""
    return 1 if "--xla_cpu_multi_thread_eigen=false" in os.environ.get("XLA_FLAGS", "") else None
