"""`reslift limits`"""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import Annotated

import typer

from reslift.limits import DEFAULT


def command(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Print every limit, its value and the option that raises it.

    The options belong to the commands that read pictures, such as `reslift upscale`.
    """
    if as_json:
        print(json.dumps(asdict(DEFAULT), indent=2))
        return
    for limit in fields(DEFAULT):
        amount = f"{getattr(DEFAULT, limit.name):,} {limit.metadata['unit']}"
        option = DEFAULT.option(limit.name)
        print(f"{limit.name:<16}{amount:>22}  {option:<22}  {limit.metadata['help']}")
