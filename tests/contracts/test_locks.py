"""The lock files pin and hash everything, agree with each other and with pyproject.toml, and name no index."""

from __future__ import annotations

import re
import tomllib

import pytest

from tests.contracts.source import ROOT

LOCKS = ["requirements.lock", "requirements-dev.lock", "requirements-peers.lock", "requirements-peers-torch.lock"]


def pins(lock: str) -> dict[str, str]:
    """The entry of each package in a lock file: its version, its marker and its hashes."""
    text = re.sub(r" *#.*", "", (ROOT / lock).read_text(encoding="utf-8")).replace("\\\n", " ")
    entries = [line.strip() for line in text.splitlines() if line.strip()]
    return {re.split(r"[=;\s]", entry, maxsplit=1)[0]: entry for entry in entries}


def declared(requirements: list[str]) -> set[str]:
    """The bare names of requirements like `jax>=0.10`."""
    return {re.split(r"[^A-Za-z0-9_.-]", requirement, maxsplit=1)[0].lower() for requirement in requirements}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_has_one_version_and_hashes(lock: str) -> None:
    assert pins(lock)
    for name, entry in pins(lock).items():
        assert re.match(rf"{re.escape(name)}==\S+( ;[^-]*)?(\s+--hash=sha256:[0-9a-f]{{64}})+$", entry), entry


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_names_no_index(lock: str) -> None:
    assert not re.search(r"://|index-url|find-links|trusted-host", (ROOT / lock).read_text(encoding="utf-8"))


def test_what_the_tests_use_is_what_the_user_gets() -> None:
    development = pins("requirements-dev.lock")
    for name, entry in pins("requirements.lock").items():
        assert development[name] == entry


def test_every_declared_package_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    groups = project["dependency-groups"]
    assert declared(project["project"]["dependencies"] + groups["build"]) <= pins("requirements.lock").keys()
    own = [requirement for requirement in groups["dev"] if isinstance(requirement, str)]
    assert declared(own) <= pins("requirements-dev.lock").keys()
    assert declared(groups["peers"]) <= pins("requirements-peers.lock").keys()


@pytest.mark.parametrize("peer", ["tensorflow", "tensorflow-cpu", "torch"])
def test_a_default_install_has_one_engine(peer: str) -> None:
    assert peer not in pins("requirements.lock")
