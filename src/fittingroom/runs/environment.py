"""Where and with what a run was made. Packages are not imported for it: their versions come from their metadata."""

from __future__ import annotations

import functools
import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_PACKAGES = ("fittingroom", "jax", "jaxlib", "keras", "numpy")


@dataclass(frozen=True)
class Environment:
    """The software and the machine of a run.

    Args:
        versions: package name -> version, Python's among them.
        processor: name of the processor.
        cores: processor cores that the process may use.
        threads: threads per operation; None where the engine has set no number.
        platform: operating system and architecture.
        device: what trained, as the engine names it, for example `cpu`.
        devices: how many of them shared each batch; results differ in the last digits with their number.
    """

    versions: Mapping[str, str]
    processor: str
    cores: int
    threads: int | None
    platform: str
    device: str
    devices: int = 1

    @classmethod
    def current(cls, device: str, threads: int | None, devices: int) -> Environment:
        """The environment of this process; device, threads and devices are known to the engine alone."""
        return cls(
            versions=dict(_versions()),
            processor=_processor(),
            cores=usable_cores(),
            threads=threads,
            platform=f"{platform.system()} {platform.release()} {platform.machine()}",
            device=device,
            devices=devices,
        )

    def differences(self, after: Environment) -> tuple[str, ...]:
        """What differs in another environment and can change a result's last digits, as `what: before, then after`.

        The number of cores does so only where it changes how many devices share a batch, which is compared itself.
        """
        names = ("processor", "platform", "threads", "device", "devices")
        found = {name: (getattr(self, name), getattr(after, name)) for name in names}
        versions = sorted(self.versions.keys() | after.versions.keys())
        found |= {name: (self.versions.get(name), after.versions.get(name)) for name in versions}
        return tuple(f"{name}: {old}, then {new}" for name, (old, new) in found.items() if old != new)


@functools.cache
def _versions() -> dict[str, str]:
    """They are read once: that takes milliseconds, and what is loaded stays what it is."""
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "unknown"
    return found


def usable_cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@functools.cache
def _processor() -> str:
    """The processor's name. `platform.processor()` starts a program for it, and knows less on Linux."""
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() in {"model name", "Model", "Hardware"} and value.strip():
                return value.strip()
    if sys.platform == "darwin":
        import subprocess

        command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or platform.machine()
    return platform.processor() or platform.machine()
