"""The command line: find the command, run it, turn what it raises into one line and an exit code.

Exit codes: 0 all done, 1 nothing succeeded, 2 bad usage, 3 some inputs failed, 4 a verification did
not hold, 130 interrupted. A command returns its code, or None for 0.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

from reslift import __version__
from reslift.errors import OutputError, ResliftError, UsageError, look_up, one_line
from reslift.files import CANNOT_WRITE

COMMANDS: dict[str, str] = {
    "upscale": "reslift.cli.upscale:command",
    "plan": "reslift.cli.plan:command",
    "verify": "reslift.cli.verify:command",
    "compare": "reslift.cli.compare:command",
    "audit": "reslift.cli.audit:command",
    "replay": "reslift.cli.replay:command",
    "sample": "reslift.cli.sample:command",
    "evaluate": "reslift.cli.evaluate:command",
    "train": "reslift.cli.train:command",
    "latent": "reslift.cli.latent:command",
    "calibrate": "reslift.cli.calibrate:command",
    "export": "reslift.cli.export:command",
    "models": "reslift.cli.models:command",
    "data": "reslift.cli.data:command",
    "doctor": "reslift.cli.doctor:command",
    "limits": "reslift.cli.limits:command",
}

SUMMARIES: dict[str, str] = {
    "upscale": "Make pictures larger, or bring them to an exact size.",
    "plan": "Say what an upscaling would take: sizes, cells, memory, time.",
    "verify": "Shrink OUT by a stated kernel and compare it with IN, channel by channel.",
    "compare": "Show models and bicubic side by side on a part of a picture.",
    "audit": "Split OUT into what IN determines and what was added; needs no truth.",
    "replay": "Make OUT again from IN, as OUT says it was made, and compare the two.",
    "sample": "Draw plausible enlargements of a picture, and show where they differ.",
    "evaluate": "Measure models on pictures, bicubic beside them.",
    "train": "Train a model as a recipe says, or resume a run.",
    "latent": "Look into a model's latent space: maps, neighbours, interpolations.",
    "calibrate": "Measure a model's errors, so that it can say how far to trust it.",
    "export": "Write a model as ONNX, OpenVINO or TorchScript.",
    "models": "List the bundled models, or print the card of one.",
    "data": "List the data sets that recipes name, download one, or check a folder of pictures.",
    "doctor": "Say what is installed, usable and missing, and how to get it.",
    "limits": "Print every limit, its value and the option that raises it.",
}

INTERRUPTED = 130
CONVERTER = "openvino.tools.ovc"
OUT_OF_MEMORY = "not enough memory; try a smaller --tile or --max-memory"
_debugging = False


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `reslift ARGUMENTS…` (`sys.argv[1:]` by default) and return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    global _debugging
    _debugging = _take_flag(words, "--debug")
    _prepare_process()
    try:
        return _dispatch(words)
    except KeyboardInterrupt:
        return _complain("interrupted", INTERRUPTED)
    except BrokenPipeError:
        _drop(sys.stdout)
        return 1
    except Exception as error:
        code = error.exit_code if isinstance(error, ResliftError) else _outside_code(error)
        return _complain(explain(error), code)


def _dispatch(words: list[str]) -> int:
    if not words:
        sys.stderr.write(help_text())
        return UsageError.exit_code
    first, rest = words[0], words[1:]
    if first in ("-h", "--help"):
        tell(help_text().rstrip())
        return 0
    if first == "--version":
        tell(f"reslift {__version__}")
        return 0
    if first.startswith("-"):
        raise UsageError(
            f"unknown option {one_line(first)!r}; `reslift --help` lists what there is"
        )
    return _run(first, _load(look_up(first, COMMANDS, "command")), rest)


def _load(target: str) -> Callable[..., Any]:
    module, _, name = target.partition(":")
    function: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return function


def _run(name: str, function: Callable[..., Any], words: list[str]) -> int:
    import typer

    app = typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.command(name)(function)
    try:
        code = typer.main.get_command(app).main(
            args=words, prog_name=f"reslift {name}", standalone_mode=False
        )
    except typer.Exit as stop:
        code = stop.exit_code
    except typer.Abort:
        raise KeyboardInterrupt from None
    except SystemExit:  # how typer ends where nobody reads what is printed
        raise BrokenPipeError from None
    if code == INTERRUPTED:
        raise KeyboardInterrupt
    tell()
    return code if isinstance(code, int) else 0


def help_text() -> str:
    """What `reslift --help` prints."""
    width = max(map(len, COMMANDS)) + 2
    commands = "".join(f"  {name:<{width}}{SUMMARIES[name]}\n" for name in COMMANDS)
    return (
        "Usage: reslift COMMAND [OPTIONS]\n\n"
        "Lift the resolution of images with convolutional autoencoders.\n\n"
        f"Commands:\n{commands}\n"
        "Options:\n"
        "  --version  Print the version.\n"
        "  --debug    Show where an error comes from.\n"
        "  --help     Print this; `reslift COMMAND --help` prints a command's options.\n"
    )


def _take_flag(words: list[str], flag: str) -> bool:
    end = words.index("--") if "--" in words else len(words)
    found = flag in words[:end]
    words[:end] = [word for word in words[:end] if word != flag]
    return found


def _prepare_process() -> None:
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115  (closed outside: >&-)
        with contextlib.suppress(AttributeError):
            getattr(sys, name).reconfigure(errors="backslashreplace")
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        with contextlib.suppress(ValueError):
            if number is not None and signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, _interrupt)
    # OpenVINO imports its converter where it can: a tenth of a short command, and nobody's here.
    sys.modules.setdefault(CONVERTER, None)  # type: ignore[arg-type]


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def tell(text: str = "") -> None:
    """Print a line, at once, or only what waits; OutputError where stdout takes no more."""
    try:
        print(text, end="\n" if text else "", flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"cannot write to standard output: {one_line(error.strerror)}") from error


def say(text: str) -> None:
    """Print a line on stderr, at once; that nobody can read it any more stops no work."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        _drop(sys.stderr)


def failure_line(path: Path, reason: str) -> str:
    """``failed: NAME: reason``, with the name once where the reason has it already."""
    name, text = one_line(path), one_line(reason)
    named = re.match(f"(cannot use )?{re.escape(name)}( enlarged)?: ", text)
    return f"failed: {text}" if named else f"failed: {name}: {text}"


def explain(error: Exception) -> str:
    """One line for what was raised; with --debug, the traceback goes to stderr as well."""
    if _debugging:
        traceback.print_exception(error)
    if isinstance(error, MemoryError):
        return OUT_OF_MEMORY
    if isinstance(error, ModuleNotFoundError):
        return f"{one_line(error)}; `reslift doctor` says what is missing"
    if isinstance(error, ResliftError):
        return one_line(error)
    if hasattr(error, "format_message"):
        return one_line(error.format_message())
    if isinstance(error, OSError):
        if error.filename is not None:
            return f"cannot use {one_line(error.filename)}: {one_line(error.strerror)}"
        if error.errno in CANNOT_WRITE:
            return f"cannot write to standard output or a temporary file: {error.strerror}"
        if isinstance(error, FileNotFoundError) and _folder_is_gone():
            return "the folder that reslift was started in is gone; change to one that is there"
    return f"internal error, {type(error).__name__}: {one_line(error)}; --debug shows where"


def _folder_is_gone() -> bool:
    try:
        Path.cwd()
    except FileNotFoundError:
        return True
    return False


def _outside_code(error: Exception) -> int:
    """Exit code of an error that is not ours: the option parser knows its own."""
    return int(getattr(error, "exit_code", 1))


def _complain(text: str, code: int) -> int:
    try:
        sys.stdout.flush()
    except OSError:
        _drop(sys.stdout)
    say(f"reslift: {text}")
    return code


def _drop(stream: TextIO) -> None:
    """What could not be printed is dropped, or Python would complain once more at its end."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
