"""What surrounds the command: terminals that lack signs, and errors whose cause is the system or its settings."""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
import traceback
import unicodedata

# What the commands draw and write beyond ASCII, for terminals whose encoding lacks it. A lone surrogate, from a path
# that is not UTF-8, is in no encoding.
_SIGNS = {
    "–": "-", "—": "-", "−": "-", "×": "x", "±": "+/-", "≤": "<=", "≥": ">=", "≈": "~", "→": "->", "←": "<-",
    "…": "...", "·": ".", "•": "o", "│": "|", "┃": "|", "─": "-", "█": "#", "▀": "#", "▄": "#", "’": "'", "‘": "'",
    "“": '"', "”": '"', "√": "sqrt", "σ": "sigma", "µ": "u", "°": " degrees", "✓": "yes", "✗": "no", "₂": "2", "²": "2",
}  # fmt: skip
_LEVELS = "▁▂▃▄▅▆▇█"
_PLAIN_LEVELS = "_.,-=+*#"
_PLAIN = {**_SIGNS, **dict(zip(_LEVELS, _PLAIN_LEVELS, strict=True))}

# In the errors of XLA, of Python's threads, of the loader of shared libraries, of the system, and of modules in C that
# do not look whether they were given memory.
_SIGNS_OF_LITTLE_MEMORY = (
    "RESOURCE_EXHAUSTED",
    "can't start new thread",
    "failed to map segment",
    "annot allocate memory",
    "error return without exception set",
)


def print_anywhere() -> bool:
    """Lets standard output and error print whatever they are given, with plain signs for those that they lack.

    Streams that whoever started the command has closed lead nowhere from then on. Left closed, the next file that is
    opened, such as the ledger, would take their place, and be printed into.

    Returns:
        Whether standard output can be read by anybody.
    """
    is_open = sys.stdout is not None
    for handle, mode in enumerate("rww"):
        try:
            os.fstat(handle)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest handle that is free: this one
        name = ("stdin", "stdout", "stderr")[handle]
        if getattr(sys, name) is None:
            setattr(sys, name, open(handle, mode, closefd=False))  # noqa: SIM115 - until the end
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
    return letters or ascii(sign)[1:-1]  # \u6771


def interrupt_again(unraisable: sys.UnraisableHookArgs) -> None:
    """Delivers a Ctrl-C that came while Python could not raise it: in a callback of its garbage collection, say.

    JAX has such a callback, which imports run through hundreds of times. Python prints the traceback and goes on, and
    whoever pressed Ctrl-C waits for good. As `sys.unraisablehook`.
    """
    if not isinstance(unraisable.exc_value, KeyboardInterrupt) or os.name == "nt":
        sys.__unraisablehook__(unraisable)
        return
    import signal
    import threading

    # A signal that the system sends also ends a wait, and comes after the callback has ended.
    threading.Timer(0.01, os.kill, (os.getpid(), signal.SIGINT)).start()


def fault_of_the_surroundings(error: BaseException) -> str | None:
    """What to say of an error whose cause is the system, its settings or the installation; None for any other."""
    if isinstance(error, MemoryError) or any(sign in str(error) for sign in _SIGNS_OF_LITTLE_MEMORY):
        return (
            "there is not enough memory. Close other programs, or ask for less at once: smaller images, a smaller "
            f"--batch-size, fewer --seeds.{_said(error)}"
        )
    if isinstance(error, ImportError):
        return f"a package cannot be imported, so the installation is not whole: {error}. Install Fitting Room again."
    if isinstance(error, OSError):
        reason = error.strerror or str(error)
        if error.errno == errno.ENAMETOOLONG:
            return f"a name is too long for a file: {str(error.filename)[:60]}... Shorten it."
        return f"the system refused {error.filename}: {reason}." if error.filename else f"the system refused: {reason}."
    frames = traceback.extract_tb(error.__traceback__)
    if frames and "jax" in frames[-1].filename and frames[-1].filename.endswith("config.py"):
        return (
            f"JAX does not accept one of its settings: {error}. Look at the environment variables that begin with JAX_."
        )
    return None


def _said(error: BaseException) -> str:
    text = str(error).strip()
    return f" (The system said: {text[:200]})" if text else ""
