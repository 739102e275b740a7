"""JAX as the engine needs it: a persistent compile cache, and the facts about the device that a run records."""

from __future__ import annotations

import functools
import os
from pathlib import Path

from fittingroom.data.cache import cache_dir


@functools.cache
def prepare_jax() -> None:
    """Turns on JAX's persistent compile cache in our cache folder, unless the user has chosen one.

    A folder that cannot be written is left alone, since JAX would warn about it at every program. Thresholds are zero
    because the programs here are small: the default would keep none of them.
    """
    import jax

    folder = cache_dir() / "compiled"
    if jax.config.jax_compilation_cache_dir is None and is_writable(folder):  # type: ignore[attr-defined]
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


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
