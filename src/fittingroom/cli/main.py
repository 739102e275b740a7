"""The command `fittingroom`: finds the command, runs it, prints its output, and turns errors into exit statuses.

Three parts, in this order: the way of a command line; what is said of an error; and terminals, whose encoding may lack
signs that we print, and whose streams may be closed.
"""

from __future__ import annotations

import argparse
import codecs
import contextlib
import errno
import gc
import importlib
import io
import logging
import os
import sys
import traceback
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NoReturn

from fittingroom.atomic import absolute
from fittingroom.cli.command import CommandOutput, CommandParser, printable, say
from fittingroom.errors import FittingRoomError, InputError, StorageError, UnknownNameError, exit_status

COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "train": "train a recipe on a dataset",
        "evaluate": "open the sealed test set and score a run on it",
        "explain": "say what loss and accuracy mean for a run, image by image",
        "card": "print or write a run's model card and data card",
        "report": "write a page about one run or several, as one HTML file",
        "export": "write a run as a file or as a page that answers elsewhere",
        "audit": "check whether data and a model can be trusted",
        "experiment": "train recipes with several seeds each, and compare them",
        "benchmark": "train methods on several datasets, and compare them",
        "lab": "answer a question of the course by measurement",
        "search": "let Optuna propose recipes, and find the best on validation",
        "compare": "compare runs on their validation images",
        "predict": "classify images in files with a run",
        "serve": "classify images over HTTP with a run",
        "monitor": "say whether a server is asked about other images than before",
        "studio": "train, look and try in the browser",
        "data": "list the datasets, or describe one",
        "runs": "list all runs",
        "show": "show one run",
        "teach": "make a new run from a run and a few photos of your own",
        "log": "write runs for TensorBoard, MLflow or W&B, or as tables",
        "replay": "train a run again, and say whether it is the same bit for bit",
        "recipes": "list the named recipes and the accuracy that each claims",
        "backbones": "list the pretrained networks, or describe one",
        "cache": "show what the cache holds, or delete it",
        "ledger": "list every look at a sealed test set, or verify the record",
    }
)

_SMALL_PRODUCTS = ("evaluate", "explain", "predict", "report", "show")

DESCRIPTION = "Train an image classifier in seconds, and keep the test set honestly unseen."


def console() -> NoReturn:
    """The entry point of the command `fittingroom`: `main`, in a process that starts and ends faster."""
    # Importing makes a hundred thousand objects that live to the end. Looking through them for garbage again and again
    # takes a tenth of a second, and so does freeing them one by one before the process ends.
    gc.set_threshold(100_000)
    # Two threads of OpenBLAS wait for each other longer than they compute where a product of matrices is small, by 20
    # ms each time on a busy machine. (It reads this once, when NumPy is imported.)
    if sys.argv[1:2] and sys.argv[1] in _SMALL_PRODUCTS:
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    sys.unraisablehook = _interrupt_again
    status = main()
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    os._exit(status)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line.

    Args:
        argv: the arguments after the program's name; None for those of this process.

    Returns:
        The exit status: 0 for success, 2 for wrong input, 130 for an interruption, 1 for anything else.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    is_open = _print_anywhere()
    try:
        status = _run(arguments)
        if not is_open:
            raise StorageError("standard output is closed, so the answer could not be printed.")
        return status
    except BrokenPipeError:
        # Whoever read our output has gone, as in `fittingroom runs | head -1`. Python must not write again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (Exception, KeyboardInterrupt) as error:
        if "--debug" in arguments or os.environ.get("FITTINGROOM_DEBUG") == "1":
            traceback.print_exc()
        _say_error(error)
        return exit_status(error)


def build_parser(commands: Iterable[str] = COMMANDS) -> CommandParser:
    """The parser of the command line.

    Args:
        commands: those that get their arguments; only their modules are imported.
    """
    parser = CommandParser(prog="fittingroom", description=DESCRIPTION, allow_abbrev=False)
    parser.add_argument("--version", action="store_true", help="print the version")
    _add_debug(parser)
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name, summary in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=summary, description=summary, allow_abbrev=False)
        _add_debug(subparser)
        if name in commands:
            importlib.import_module(f"fittingroom.cli.{name}").configure(subparser)
            subparser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    return parser


def _add_debug(parser: CommandParser) -> None:
    parser.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help="show tracebacks of errors")


def _run(arguments: list[str]) -> int:
    command = next((argument for argument in arguments if not argument.startswith("-")), None)
    if command is not None and command not in COMMANDS:
        raise UnknownNameError("command", command, COMMANDS)
    parser = build_parser([command] if command else [])
    parsed, unknown = parser.parse_known_args(arguments)
    if parsed.version:
        from fittingroom import __version__

        print(f"fittingroom {__version__}")
        return 0
    if command is None:
        parser.print_help()
        return 0
    if unknown:
        raise _unknown_arguments(command, unknown, parser)
    return _print(_output_of(parsed), as_json=parsed.json)


def _output_of(parsed: argparse.Namespace) -> CommandOutput:
    """Runs the command. What else prints while it runs, such as a user's model file, goes to standard error."""
    absolute(".")  # a deleted current folder would fail in a hundred places, and none of them would say so
    with contextlib.redirect_stdout(sys.stderr), _notes():
        output: CommandOutput = parsed.execute(parsed)
    return output


class _SayNotes(logging.Handler):
    """Prints what the library logs as `fittingroom: note: ...`."""

    def emit(self, record: logging.LogRecord) -> None:
        say("note", record.getMessage())


@contextlib.contextmanager
def _notes() -> Iterator[None]:
    logger, handler = logging.getLogger("fittingroom"), _SayNotes()
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def _print(output: CommandOutput, *, as_json: bool) -> int:
    if as_json:
        from fittingroom.runs.json_files import json_text

        text = json_text(output.facts, sys.stdout.encoding)
    else:
        text = printable(output.text)
    try:
        print(text, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise StorageError(f"the answer could not be printed: {error.strerror or error}.") from error
    return output.status


def _unknown_arguments(command: str, unknown: list[str], parser: CommandParser) -> InputError:
    if not unknown[0].startswith("-"):
        return InputError(f"unexpected argument {unknown[0]!r}. See `fittingroom {command} --help`.")
    (subparsers,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    options = [option for option in subparsers.choices[command]._option_string_actions if option.startswith("--")]
    return UnknownNameError("option", unknown[0].partition("=")[0], options)


# Errors

# In the errors of XLA, of Python's threads, of the loader of shared libraries, of the system, and of C extensions that
# do not check whether an allocation succeeded.
_SIGNS_OF_LITTLE_MEMORY = (
    "RESOURCE_EXHAUSTED",
    "can't start new thread",
    "failed to map segment",
    "annot allocate memory",
    "error return without exception set",
)


def _say_error(error: BaseException) -> None:
    if isinstance(error, KeyboardInterrupt):
        say("interrupted", str(error) or "the command was ended before it was done.")
    elif isinstance(error, FittingRoomError):
        say("error", str(error))
    else:
        say("error", _system_fault(error) or _fault_of_ours(error))


def _fault_of_ours(error: BaseException) -> str:
    return f"unexpected {type(error).__name__}: {error}. This is a bug in Fitting Room; --debug shows where."


def _system_fault(error: BaseException) -> str | None:
    """What to say of an error whose cause is the system, its settings or the installation; None for any other."""
    if isinstance(error, MemoryError) or any(sign in str(error) for sign in _SIGNS_OF_LITTLE_MEMORY):
        return (
            "there is not enough memory. Close other programs, or ask for less at once: smaller images, a smaller "
            f"--batch-size, fewer --seeds.{_said(error)}"
        )
    if isinstance(error, ImportError):
        return f"a package cannot be imported, so the installation is incomplete: {error}. Install Fitting Room again."
    if isinstance(error, OSError):
        reason = error.strerror or str(error)
        if error.errno == errno.ENAMETOOLONG:
            return f"the file name {str(error.filename)[:60]}... is too long. Shorten it."
        return f"the system refused {error.filename}: {reason}." if error.filename else f"the system refused: {reason}."
    frames = traceback.extract_tb(error.__traceback__)
    if frames and "jax" in frames[-1].filename and frames[-1].filename.endswith("config.py"):
        return f"JAX rejects one of its settings: {error}. Check the environment variables that begin with JAX_."
    return None


def _said(error: BaseException) -> str:
    text = str(error).strip()
    return f" (The system said: {text[:200]})" if text else ""


def _interrupt_again(unraisable: sys.UnraisableHookArgs) -> None:
    """Delivers a Ctrl-C that came while Python could not raise it, for `sys.unraisablehook`.

    JAX has a callback of Python's garbage collection, which imports run through hundreds of times. An interrupt inside
    it cannot be raised: Python prints a traceback and continues, and whoever pressed Ctrl-C waits for good.
    """
    if not isinstance(unraisable.exc_value, KeyboardInterrupt) or os.name == "nt":
        sys.__unraisablehook__(unraisable)
        return
    import signal
    import threading

    # A signal that the system sends also ends a wait, and comes after the callback has ended.
    threading.Timer(0.01, os.kill, (os.getpid(), signal.SIGINT)).start()


# Terminals

# What the commands print beyond ASCII, for terminals whose encoding lacks it.
_SIGNS = {
    "–": "-", "—": "-", "−": "-", "×": "x", "±": "+/-", "≤": "<=", "≥": ">=", "≈": "~", "→": "->", "←": "<-",
    "…": "...", "·": ".", "•": "o", "│": "|", "┃": "|", "─": "-", "█": "#", "▀": "#", "▄": "#", "’": "'", "‘": "'",
    "“": '"', "”": '"', "√": "sqrt", "σ": "sigma", "µ": "u", "°": " degrees", "✓": "yes", "✗": "no", "₂": "2", "²": "2",
}  # fmt: skip
_LEVELS = "▁▂▃▄▅▆▇█"
_PLAIN_LEVELS = "_.,-=+*#"
_PLAIN = {**_SIGNS, **dict(zip(_LEVELS, _PLAIN_LEVELS, strict=True))}


def _print_anywhere() -> bool:
    """Lets standard output and error print any text, with plain signs for those that their encoding lacks.

    Returns:
        Whether standard output was open.
    """
    is_open = sys.stdout is not None
    # Streams that whoever started the command has closed lead nowhere from now on. Left closed, the next file that is
    # opened, such as the ledger, would take their place, and be printed into.
    for handle, mode in enumerate("rww"):
        try:
            os.fstat(handle)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest handle that is free: this one
        name = ("stdin", "stdout", "stderr")[handle]
        if getattr(sys, name) is None:
            setattr(sys, name, open(handle, mode, closefd=False))  # noqa: SIM115 - open until the process ends
    codecs.register_error("fittingroom", _plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="fittingroom")
    return is_open


def _plain(error: UnicodeError) -> tuple[str, int]:
    """Writes what an encoding lacks in ASCII: an error handler, as `codecs.register_error` wants it."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(map(_plain_sign, lacking)), error.end


def _plain_sign(sign: str) -> str:
    if sign in _PLAIN:
        return _PLAIN[sign]
    letters = unicodedata.normalize("NFKD", sign).encode("ascii", "ignore").decode()  # é -> e
    # `\u6771` for a letter of another script, and for a lone surrogate, from a path that is not UTF-8.
    return letters or ascii(sign)[1:-1]
