"""What does not fit in a recipe, said in the words of TOML and on one line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from reslift.errors import one_line, unknown

ARGUMENTS = "arguments"
ANY_VALUE = "wanted true or false, a whole number, a finite number, text or a list of texts"
LIST = 'wanted a list, as in ["a", "b"]'
TABLE = "wanted a table, as in {key = value}"
WANTED = {
    "tuple_type": LIST,
    "dict_type": TABLE,
    "model_type": TABLE,
    "model_attributes_type": TABLE,
}


def explain(error: ValidationError, whole: type[BaseModel]) -> str:
    """The first thing that does not fit: its place, what was wanted, and what was given.

    whole: the class that it was to fit.
    """
    first = error.errors()[0]
    loc = first["loc"]
    if first["type"] == "extra_forbidden":
        where = ".".join(map(str, loc[:-1])) or "the recipe"
        return unknown(str(loc[-1]), _part(whole, loc[:-1]).model_fields, f"key in {where}")
    message = one_line(first["msg"]).removeprefix("Value error, ")
    message = WANTED.get(first["type"], message)
    given = first["input"]
    if ARGUMENTS in loc[:-1]:  # pydantic tells each of the types that it tried apart
        loc, message = loc[: loc.index(ARGUMENTS) + 2], ANY_VALUE
    if loc == ("phases",) and isinstance(given, dict):
        message = "wanted [[phases]], in two brackets"
    place = ".".join(map(str, loc))
    if not place or first["type"] == "missing":
        return f"{place or 'recipe'}: {message}"
    return f"{place}: {message}, given {one_line(given)}"


def _part(whole: type[BaseModel], keys: Sequence[str | int]) -> Any:
    """The class of what lies under these keys."""
    part: Any = whole
    for key in keys:
        if isinstance(key, str):
            kind = part.model_fields[key].annotation
            part = next((k for k in (kind, *get_args(kind)) if hasattr(k, "model_fields")), part)
    return part
