"""The frame of the command line: finding commands, errors as one line, exit codes."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import pytest

import reslift
from reslift import cli, errors
from reslift.cli import COMMANDS, SUMMARIES, main

RUN = [sys.executable, "-m", "reslift"]


@pytest.fixture(autouse=True)
def keep_signal_handlers():
    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def plant(monkeypatch):
    """Put a command named `planted` in the index."""

    def put(command):
        module = types.ModuleType("planted_module")
        module.command = command
        monkeypatch.setitem(sys.modules, "planted_module", module)
        monkeypatch.setitem(COMMANDS, "planted", "planted_module:command")
        monkeypatch.setitem(SUMMARIES, "planted", "Planted.")

    return put


def reslift_run(*words: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*RUN, *words], capture_output=True, text=True, **options)


def test_help_lists_every_command_with_its_summary(capsys):
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    for name in COMMANDS:
        assert f"  {name} " in out
        assert SUMMARIES[name] in out


@pytest.mark.parametrize("name", COMMANDS)
def test_summary_is_the_first_line_of_the_command(name):
    first = (cli._load(COMMANDS[name]).__doc__ or "").strip().splitlines()[0]
    assert first == SUMMARIES[name]
    assert COMMANDS[name].startswith("reslift.cli.")


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_command_help(name, flag, capsys):
    assert main([name, flag]) == 0
    assert f"Usage: reslift {name}" in capsys.readouterr().out


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"reslift {reslift.__version__}\n"


def test_no_command_is_bad_usage(capsys):
    assert main([]) == 2
    caught = capsys.readouterr()
    assert caught.out == ""
    assert "Usage:" in caught.err


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["upscal"], "did you mean upscale?"),
        (["--frobnicate"], "unknown option '--frobnicate'"),
        (["limits", "--jso"], "--json"),
        (["limits", "surplus"], "surplus"),
        (["a\nb"], r"a\\nb"),
    ],
)
def test_bad_usage_is_one_line_and_exit_code_2(words, wanted, capsys):
    assert main(words) == 2
    caught = capsys.readouterr()
    assert caught.out == ""
    assert len(caught.err.splitlines()) == 1
    assert wanted in caught.err


RAISED = [
    *(
        (found("what happened"), found.exit_code)
        for found in vars(errors).values()
        if isinstance(found, type) and issubclass(found, errors.ResliftError)
    ),
    (KeyboardInterrupt(), 130),
    (MemoryError(), 1),
    (RuntimeError(), 1),
    (OSError(5, "broken"), 1),
    (ModuleNotFoundError("No module named 'tensorboard'"), 1),
]


@pytest.mark.parametrize(("raised", "code"), RAISED, ids=lambda value: type(value).__name__)
def test_every_error_is_one_line_without_traceback(raised, code, plant, capsys):
    def command() -> None:
        """Planted."""
        raise raised

    plant(command)
    assert main(["planted"]) == code
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1
    assert err.startswith("reslift: ")
    assert len(err.strip()) > len("reslift: ")


def test_text_of_an_error_cannot_break_the_line(plant, capsys):
    def command() -> None:
        raise errors.InputError("a\nb\x1b[2J\udcff.png")

    plant(command)
    assert main(["planted"]) == 1
    assert capsys.readouterr().err == "reslift: a\\nb\\x1b[2J\\udcff.png\n"


@pytest.mark.parametrize("words", [["--debug", "planted"], ["planted", "--debug"]])
def test_debug_shows_where(words, plant, capsys):
    def command() -> None:
        raise errors.InputError("what happened")

    plant(command)
    assert main(words) == 1
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert __file__ in err


def test_words_after_two_dashes_are_not_options(plant, capsys):
    def command(name: str) -> None:
        print(name)

    plant(command)
    assert main(["planted", "--", "--debug"]) == 0
    assert capsys.readouterr().out == "--debug\n"


@pytest.mark.parametrize(("answer", "code"), [(None, 0), (0, 0), (3, 3), (4, 4)])
def test_answer_of_a_command_is_the_exit_code(answer, code, plant):
    def command():
        return answer

    plant(command)
    assert main(["planted"]) == code


def test_typer_exit_and_abort(plant):
    import typer

    def command(how: str) -> None:
        raise typer.Exit(3) if how == "exit" else typer.Abort

    plant(command)
    assert main(["planted", "exit"]) == 3
    assert main(["planted", "abort"]) == 130


def test_exit_codes_of_the_process():
    assert reslift_run("--help").returncode == 0
    assert reslift_run("limits").returncode == 0
    assert reslift_run("upscal").returncode == 2
    done = reslift_run("models", "no-such-model.safetensors")
    assert done.returncode == 1
    assert "no-such-model.safetensors" in done.stderr
    assert "Traceback" not in done.stderr


SLEEPER = """
import sys, types
from reslift import cli
def command():
    import time
    print("ready", flush=True)
    time.sleep(60)
sys.modules["planted"] = types.ModuleType("planted")
sys.modules["planted"].command = command
cli.COMMANDS["planted"] = "planted:command"
sys.exit(cli.main(["planted"]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_interrupt_gives_130_and_one_line(name):
    process = subprocess.Popen(
        [sys.executable, "-c", SLEEPER], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.05)
    process.send_signal(getattr(signal, name))
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert err == "reslift: interrupted\n"


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX pipes")
def test_closed_pipe_is_no_defect():
    process = subprocess.Popen([*RUN, "limits"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 1
    assert err == b""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX shell")
@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ("limits >&-", 0, ""),
        ("limits 2>&-", 0, ""),
        ("upscal 2>&-", 2, ""),
        ("upscal 2>/dev/full", 2, ""),
        ("limits >/dev/full", 1, "cannot write to standard output"),
        ("--help >/dev/full", 1, "cannot write to standard output"),
        ("--version >/dev/full", 1, "cannot write to standard output"),
    ],
)
@pytest.mark.parametrize("buffered", ["", "1"])
def test_streams_that_take_nothing(words, code, says, buffered, monkeypatch):
    monkeypatch.setenv("PYTHONUNBUFFERED", buffered)
    if "/dev/full" in words and not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    shell = ["sh", "-c", f'exec "$0" -m reslift {words}', sys.executable]
    done = subprocess.run(shell, capture_output=True, text=True)
    assert done.returncode == code
    assert says in done.stderr and len(done.stderr.splitlines()) == bool(says)


def test_what_the_system_refuses_is_told_by_its_name(plant, capsys):
    def locked():
        raise PermissionError(13, "Permission denied", "here/a\nb")

    plant(locked)
    assert main(["planted"]) == 1
    assert capsys.readouterr().err == "reslift: cannot use here/a\\nb: Permission denied\n"


@pytest.mark.skipif(sys.platform == "win32", reason="a folder in use cannot be removed")
def test_a_folder_that_is_gone_is_told(plant, tmp_path, monkeypatch, capsys):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    plant(lambda: Path.cwd())
    assert main(["planted"]) == 1
    assert "started in is gone" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_hangup_that_was_ignored_stays_ignored(plant):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        plant(lambda: 0)
        assert main(["planted"]) == 0
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_output_that_the_terminal_cannot_show_is_escaped():
    done = reslift_run("limits", env={"PYTHONIOENCODING": "ascii:strict", "PATH": ""})
    assert done.returncode == 0
    assert r"\xd7" in done.stdout


def test_public_names_resolve_lazily():
    code = (
        "import sys, reslift; assert 'torch' not in sys.modules\n"
        "assert set(reslift.__all__) <= set(dir(reslift))\n"
        "print(reslift.ResliftError.__module__, reslift.Limits.__module__)\n"
        "assert 'torch' not in sys.modules\n"
        "for name in reslift.__all__: getattr(reslift, name)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout == "reslift.errors reslift.limits\n"
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = reslift.no_such_name
