from __future__ import annotations

import ast
import errno
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from fittingroom.cli import main as surroundings
from fittingroom.cli.main import _print_anywhere, _system_fault, main
from fittingroom.errors import exit_status
from tests.contracts.source import source_files

pytestmark = pytest.mark.usefixtures("quick_compiler")

SIGNS = sorted(
    {
        sign
        for path in source_files()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        for sign in node.value
        if not sign.isascii() and "reports" not in path.parts
    }
)


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    start = "import sys; from fittingroom.cli.main import console; console()"
    return subprocess.run(
        [sys.executable, "-c", start, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        check=False,
        timeout=120,
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("surroundings") / "run"
    assert main(["train", "digits", "--epochs", "1", "--out", str(path)]) == 0
    return path


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp850", "cp1252"])
def test_every_sign_that_commands_print_has_a_plain_one(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    _print_anywhere()
    sys.stdout.write("".join(SIGNS) + "\udcff")
    sys.stdout.flush()
    printed = raw.getvalue().decode(encoding)
    assert "\\udcff" in printed
    assert not any(f"\\u{ord(sign):04x}" in printed for sign in surroundings._PLAIN)


def test_a_terminal_without_utf_8_is_answered_in_its_own_signs(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = command("evaluate", str(run), PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert b"%" in done.stdout
    assert done.stdout.isascii()
    for arguments in (["show"], ["explain"]):  # in this process, which has imported what they need
        raw = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", stream := io.TextIOWrapper(raw, encoding="ascii"))
        assert main([*arguments, str(run)]) == 0
        stream.flush()
        assert b"%" in raw.getvalue()


def test_without_a_home_folder_a_command_works_without_a_cache(tmp_path: Path, run: Path) -> None:
    nobody = {"HOME": str(tmp_path / "none"), "XDG_CACHE_HOME": "", "FITTINGROOM_CACHE_DIR": "/dev/null/cache"}
    done = command("data", "digits", **nobody)
    assert done.returncode == 0, done.stderr
    assert b"1,438" in done.stdout or b"digits" in done.stdout
    assert b"note: The picture of the first images was not written" in done.stderr


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"JAX_PLATFORM_NAME": "gpu"}, b"JAX_PLATFORM_NAME=gpu is set. Unset it, or set it to cpu."),
        ({"JAX_PLATFORMS": "cuda"}, b"JAX_PLATFORMS=cuda, but JAX finds no such device here"),
        (
            {"JAX_DISABLE_JIT": "1"},
            b"JAX_DISABLE_JIT is set, but Fitting Room trains with compiled programs. Unset it.",
        ),
        ({"JAX_NUM_CPU_DEVICES": "many"}, b"JAX rejects one of its settings"),
    ],
)
def test_settings_of_jax_that_cannot_work_are_named(environment: dict[str, str], says: bytes, tmp_path: Path) -> None:
    done = command("train", "digits", "--out", str(tmp_path / "run"), **environment)
    assert done.returncode != 0
    assert says in done.stderr
    assert b"bug in Fitting Room" not in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="other systems set no such limit")
def test_a_limit_that_leaves_jax_too_few_addresses_is_named(tmp_path: Path) -> None:
    start = "from fittingroom.cli.main import console; console()"
    limited = f'ulimit -v 900000; exec "$0" -c "$1" train digits --epochs 1 --out {tmp_path / "run"}'
    done = subprocess.run(["sh", "-c", limited, sys.executable, start], capture_output=True, check=False, timeout=120)
    assert done.returncode == 1
    assert b"there is not enough memory" in done.stderr
    assert b"ulimit -v allows 879 MB of address space, but JAX needs at least 1,024 MB" in done.stderr


def test_a_current_folder_that_is_gone_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gone").mkdir()
    os.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert main(["runs"]) == 1
    assert "the current folder was deleted or moved away" in capsys.readouterr().err


def test_an_interrupt_that_python_cannot_raise_is_delivered_after_all() -> None:
    program = (
        "import sys, time; from fittingroom.cli.main import _interrupt_again\n"
        "sys.unraisablehook = _interrupt_again\n"
        "class Interrupted:\n    def __del__(self): raise KeyboardInterrupt\n"
        "try:\n    Interrupted(); time.sleep(60)\nexcept KeyboardInterrupt: print('heard')\n"
        "class Faulty:\n    def __del__(self): raise ValueError('told')\n"
        "Faulty()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, timeout=30)
    assert done.stdout.strip() == b"heard"
    assert b"KeyboardInterrupt" not in done.stderr
    assert b"ValueError: told" in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="needs a shell of POSIX")
@pytest.mark.parametrize(
    ("redirection", "status", "says"),
    [
        (">&-", 1, b"error: standard output is closed, so the answer could not be printed."),
        (">/dev/full", 1, b"error: the answer could not be printed: No space left on device."),
        ("2>&-", 0, b""),
        ("2>/dev/full", 0, b""),
        ("<&-", 0, b""),
    ],
)
def test_streams_that_are_closed_or_full_lose_nothing(
    run: Path, tmp_path: Path, redirection: str, status: int, says: bytes
) -> None:
    (tmp_path / "flat").mkdir()
    Image.new("L", (8, 8), 9).save(tmp_path / "flat" / "a.png")  # is noted on standard error
    start = "from fittingroom.cli.main import console; console()"
    shown = subprocess.run(
        ["sh", "-c", f'"$0" -c "$1" predict "$2" "$3" {redirection}', sys.executable, start, run, tmp_path / "flat"],
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert shown.returncode == status
    assert says in shown.stderr
    assert b"Traceback" not in shown.stderr
    assert status or b"flat" in shown.stdout


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (MemoryError("std::bad_alloc"), "there is not enough memory"),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 8 bytes."), "there is not enough memory"),
        (
            OSError(errno.ENAMETOOLONG, "File name too long", "a" * 300),
            f"the file name {'a' * 60}... is too long. Shorten it.",
        ),
        (OSError(errno.EIO, "Input/output error", "/data/x"), "the system refused /data/x: Input/output error."),
        (ImportError("No module named 'numpy'"), "the installation is incomplete"),
        (ValueError("x"), None),
    ],
)
def test_what_the_system_is_the_cause_of_is_no_fault_of_ours(error: Exception, says: str | None) -> None:
    said = _system_fault(error)
    assert said is None if says is None else said is not None and says in said
    assert exit_status(error) == (2 if "too long" in str(says) else 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no forks")
def test_a_process_forked_after_training_is_advised_to_spawn(run: Path, tmp_path: Path) -> None:
    program = (
        "import os, sys, warnings; warnings.simplefilter('ignore')\n"
        "import numpy as np, fittingroom as fr\n"
        "run = fr.open_run(sys.argv[1]); images = np.zeros((1, 8, 8), np.uint8)\n"
        "fr.train('digits', epochs=1, out=sys.argv[2])\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    run.predict(images)\n"  # a dense network's answers come from NumPy, which does not mind
        "    try: fr.train('digits', epochs=1, out=sys.argv[3])\n"
        "    except fr.FittingRoomError as error: print(error, flush=True)\n"
        "    os._exit(7)\n"
        "sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    places = [run, tmp_path / "parent", tmp_path / "child"]
    done = subprocess.run(
        [sys.executable, "-c", program, *places], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 7, done.stderr
    assert "forked after JAX had run" in done.stdout
