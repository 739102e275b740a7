"""The wheel holds all that the program needs: it runs in a new environment, away from this checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from typing import Any

import pytest

from fittingroom.runs.layout import SeedFiles
from tests.contracts.source import ROOT

OFFLINE = ["--isolated", "--no-index"]  # `isolated`: what the user set for pip does not count


def environment() -> dict[str, str]:
    """This process's environment, without what would let a new interpreter find the checkout."""
    return {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "PYTHONHOME"}}


def call(*command: str | Path, folder: Path) -> str:
    """What a command prints on standard output, run in `folder`."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", *OFFLINE]
    call(*pip, "--wheel-dir", folder, ROOT, folder=folder)
    (path,) = folder.glob("fittingroom-*.whl")
    return path


def new_environment(folder: Path) -> Path:
    """The interpreter of an empty virtual environment in `folder`."""
    venv.create(folder, symlinks=True)
    return folder / "bin" / "python"


def install(python: Path, *arguments: str | Path) -> None:
    """Installs into another environment with this one's pip."""
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps"]
    call(*pip, *arguments, folder=python.parent)


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheel in it.

    It sees the third-party packages of this one, but not this checkout: the `.pth` file that points to the checkout is
    read only where an interpreter's own packages lie.
    """
    python = new_environment(tmp_path_factory.mktemp("installed"))
    install(python, *OFFLINE, wheel)
    own = call(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", folder=python.parent).strip()
    packages = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    Path(own, "third-party.pth").write_text("\n".join(packages))
    return python


def train_digits(python: Path, folder: Path) -> dict[str, Any]:
    """The JSON object that `fittingroom train digits --json` prints."""
    return dict(json.loads(call(python.parent / "fittingroom", "train", "digits", "--json", folder=folder)))


def test_package_comes_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    where = call(installed, "-c", "import fittingroom; print(fittingroom.__file__)", folder=tmp_path)
    assert Path(where.strip()).is_relative_to(installed.parents[1])


def test_wheel_holds_every_file_of_the_package(installed: Path, tmp_path: Path) -> None:
    where = call(installed, "-c", "import fittingroom; print(fittingroom.__path__[0])", folder=tmp_path)
    package = ROOT / "src" / "fittingroom"
    in_source = {path.relative_to(package) for path in package.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    assert all(Path(where.strip(), path).is_file() for path in in_source)


def test_installed_wheel_trains_digits(installed: Path, tmp_path: Path) -> None:
    result = train_digits(installed, tmp_path)
    assert result["dataset"] == "digits"
    assert (SeedFiles(tmp_path / result["run"]).folder / "weights.safetensors").is_file()


def test_installed_wheel_lists_the_recipes(installed: Path, tmp_path: Path) -> None:
    assert "course" in call(installed.parent / "fittingroom", "recipes", folder=tmp_path)


@pytest.mark.slow
def test_wheel_and_lock_alone_train_digits(wheel: Path, tmp_path: Path) -> None:
    python = new_environment(tmp_path / "empty")
    install(python, "--require-hashes", "--only-binary", ":all:", "--requirement", ROOT / "requirements.lock")
    install(python, *OFFLINE, wheel)
    call(sys.executable, "-m", "pip", "--python", python, "check", folder=tmp_path)
    assert train_digits(python, tmp_path)["dataset"] == "digits"
