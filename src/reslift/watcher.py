"""Who is told what a training does."""

from __future__ import annotations

from typing import Any, Protocol

from reslift.advice import Advice
from reslift.recipe import Recipe

Row = dict[str, Any]


class Watcher(Protocol):
    """Who wants to see a training: the command line's progress bars, a test, nobody."""

    def started(self, recipe: Recipe, step: int, facts: Row) -> None: ...

    def stepped(self, step: int) -> None: ...

    def validated(self, row: Row) -> None: ...

    def note(self, text: str) -> None: ...

    def warn(self, advice: Advice) -> None: ...


class Silent:
    """A watcher that shows nothing."""

    def started(self, recipe: Recipe, step: int, facts: Row) -> None:
        pass

    def stepped(self, step: int) -> None:
        pass

    def validated(self, row: Row) -> None:
        pass

    def note(self, text: str) -> None:
        pass

    def warn(self, advice: Advice) -> None:
        pass
