"""Where errors of decoders and encoders become one line that names the file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reslift.errors import InputError, LimitError, OutputError, ResliftError, one_line
from reslift.formats.base import causes


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Whatever is raised while `path` is read becomes an InputError or LimitError that names it."""
    name = one_line(path)
    try:
        yield
    except LimitError as error:
        text = one_line(error)
        raise LimitError(text if text.startswith(name) else f"{name}: {text}") from error
    except InputError as error:
        text = one_line(error)
        named = text.startswith("cannot use ")
        raise InputError(text if named else f"cannot use {name}: {text}") from error
    except ResliftError:
        raise
    except Exception as error:
        raise InputError(
            f"cannot use {name}: damaged or not supported ({causes(error)})"
        ) from error


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """What an encoder raises becomes an OutputError that names `target`."""
    try:
        yield
    except (OSError, ResliftError, MemoryError):
        raise
    except Exception as error:
        raise OutputError(f"cannot write {one_line(target)}: {causes(error)}") from error
