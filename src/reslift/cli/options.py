"""Options of a command as a frozen dataclass: a field is an option, its default the option's."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields
from typing import Annotated, Any, TypeVar, get_type_hints

import typer

from reslift.limits import DEFAULT, Limits, parse_amount

Options = TypeVar("Options")
LargestIn = Annotated[str | None, typer.Option(help="Largest IN [default: 100M].")]
LargestOut = Annotated[str | None, typer.Option(help="Largest OUT [default: 1G].")]


def command_of(options: type[Options], run: Callable[[Options], int]) -> Callable[..., int]:
    """A function as typer wants it, one parameter a field of `options`, that calls `run`.

    Fields are ``Annotated[type, typer.Option(...)]``; those of the first base come first. The text
    of the help is the docstring of `run`.
    """

    def command(**values: Any) -> int:
        return run(options(**values))

    hints = get_type_hints(options, include_extras=True)
    by_name = {field.name: field for field in fields(options)}  # type: ignore[arg-type]
    order = [name for kind in options.__mro__ for name in inspect.get_annotations(kind)]
    parameters = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=_default(by_name[name].default),
            annotation=hints[name],
        )
        for name in dict.fromkeys(order)
        if name in by_name
    ]
    command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        parameters, return_annotation=int
    )
    command.__annotations__ = {name: hints[name] for name in by_name} | {"return": int}
    command.__doc__ = run.__doc__
    return command


def limits_of(**texts: str | None) -> Limits:
    """The default limits with those changed that are not None, "200M" for 200,000,000.

    Raises UsageError for what is no amount, naming the option.
    """
    amounts = {
        name: None if text is None else parse_amount(text, Limits.option(name))
        for name, text in texts.items()
    }
    return DEFAULT.changed(**amounts)


def _default(value: Any) -> Any:
    return inspect.Parameter.empty if value is MISSING else value
