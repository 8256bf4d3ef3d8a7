"""`reslift export`: a model as a file that runs without reslift."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from reslift.cli import tell
from reslift.errors import escaped


def command(
    model: Annotated[
        str, typer.Argument(help="Name (`reslift models`), checkpoint file or run folder.")
    ],
    to: Annotated[str, typer.Option(help="onnx, openvino or torchscript.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The file [default: NAME here].")
    ] = None,
    scale: Annotated[
        int | None, typer.Option(help="2, 3 or 4 [default: 4, or what MODEL is for].")
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace what exists.")] = False,
) -> None:
    """Write a model as ONNX, OpenVINO or TorchScript.

    It takes images and batches of any size.

    The file is compared with PyTorch on five shapes first; one that differs is not written.
    """
    from reslift.export import export

    done = export(model, to, out, scale=scale, overwrite=overwrite)
    print(
        f"compared with PyTorch on {len(done.shapes)} shapes: "
        f"largest difference {done.difference:.1e}",
        file=sys.stderr,
    )
    for file in done.files:
        tell(escaped(file))
