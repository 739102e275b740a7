"""`fittingroom serve` before it serves: what it refuses, and how it says so."""

from __future__ import annotations

import importlib.util
import socket
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from fittingroom.errors import InputError
from fittingroom.serving.server import bound
from tests.cli.conftest import Command


def test_a_port_that_is_taken_names_the_next_free_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        number = other.getsockname()[1]
        with pytest.raises(InputError, match=rf"Port {number} is in use\. Try --port \d+\."):
            bound("127.0.0.1", number)


def test_any_free_port() -> None:
    with bound("localhost", 0) as one, bound("127.0.0.1", 0) as two:
        assert one.getsockname()[1] != two.getsockname()[1]


@pytest.mark.parametrize("host", ["no.such.host.invalid", "192.0.2.1", ""])
def test_an_address_of_another_machine_is_refused(host: str) -> None:
    with pytest.raises(InputError, match="address"):
        bound(host, 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--port", "70000"], "expected a port, 0 to 65535"),
        (["--workers", "0"], "expected a whole number, 1 or more"),
        (["--prot", "1"], "Did you mean '--port'"),
        ([], "unknown run 'nothing'"),
    ],
)
def test_what_is_wrong_is_said(command: Command, runs_folder: Path, arguments: list[str], message: str) -> None:
    del runs_folder
    done = command("serve", "nothing", *arguments)
    assert (done.status, done.out) == (2, "")
    assert message in done.err


def test_without_the_extra_it_says_how_to_install_it(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec

    def without(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name == "fastapi" else find(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", without)
    done = command("serve", "any")
    assert (done.status, done.out) == (2, "")
    assert "serving needs fastapi: pip install 'fittingroom[serve]'" in done.err
