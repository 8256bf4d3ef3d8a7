"""Failing or dying at a chosen system call; imported by tests and by the processes they kill."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path

from reslift.files import atomic_write

CALLS = ("open", "close", "chmod", "fsync", "link", "rename", "replace", "unlink")
NEW = b"new " * 1000


def write(path: Path, data: bytes = NEW, *, overwrite: bool = False) -> None:
    with atomic_write(path, overwrite=overwrite) as temporary:
        temporary.write_bytes(data)


@contextmanager
def room(size):
    """No file may grow beyond so many bytes, as on a disk that fills up."""
    import pytest

    resource = pytest.importorskip("resource", reason="limits as POSIX has them")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


class Points:
    """Counts the system calls that change files, and acts at one of them."""

    def __init__(self, at: int, act, after: bool = False) -> None:
        self.at, self.act, self.after, self.passed = at, act, after, []

    def install(self, setattr) -> None:
        for name in CALLS:
            setattr(os, name, self.wrap(name, getattr(os, name)))

    def wrap(self, name, call):
        def counted(*words, **options):
            self.passed.append(name)
            due = len(self.passed) - 1 == self.at
            if due and not self.after:
                self.act()
            result = call(*words, **options)
            if due and self.after:
                self.act()
            return result

        return counted
