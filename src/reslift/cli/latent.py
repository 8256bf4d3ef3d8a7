"""`reslift latent`: the latent space of a model over a set of pictures, as a page and as files."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reslift.errors import UsageError, one_line

if TYPE_CHECKING:
    from reslift.latent import Exploration

SOME_FAILED = 3


def command(
    model: Annotated[str, typer.Argument(help="Run folder, checkpoint file or bundled model.")],
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of pictures [default: a run's own held-out pictures]."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder [default: RUN/latent, else MODEL-latent]."),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(help="Of a run: held-out, train, validation, test or all."),
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="How --data is read: folder, cifar10, lfw or div2k.")
    ] = None,
    scale: Annotated[
        int | None, typer.Option(min=1, help="Of a bundled model with several [default: 4].")
    ] = None,
    limit: Annotated[
        int, typer.Option(min=0, help="At most N pictures, drawn by the seed; 0: all.")
    ] = 2000,
    between: Annotated[
        str | None, typer.Option(help="Two pictures A,B to interpolate: names or numbers.")
    ] = None,
    start: Annotated[
        str, typer.Option(help="Picture that the traversals go through: name or number.")
    ] = "",
    crop: Annotated[
        int, typer.Option(min=0, help="Only the middle N HR pixels of a picture; 0: all.")
    ] = 768,
    seed: Annotated[int, typer.Option(min=0, help="Of --limit, t-SNE and UMAP.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an earlier look.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only the paths.")] = False,
) -> int:
    """Look into a model's latent space: maps, neighbours, interpolations.

    One page that works offline, with maps (PCA, t-SNE), pictures and traversals; PNG and CSV.
    """
    from reslift import latent as verb
    from reslift.cli.progress import progress

    folder = out or _beside(model)
    verb.prepare(folder, overwrite=overwrite)
    source = verb.open_source(
        model,
        data,
        dataset=dataset,
        split=split,
        scale=scale,
        limit=limit,
        seed=seed,
        device=device,
    )
    if not quiet:
        print(f"{source.name}: {source.words}", file=sys.stderr)
    with progress("pictures", len(source.images)) as advance:
        found = verb.explore(
            source,
            seed=seed,
            crop=crop,
            between=_pair(between),
            start=start,
            advance=advance,
        )
    if not quiet:
        _report(found)
    words = one_line(shlex.join(["reslift", *sys.argv[1:]]))
    for path in verb.save(folder, found, words, overwrite=overwrite):
        print(one_line(path))
    return _finish(found)


def _beside(model: str) -> Path:
    """RUN/latent for a run, else MODEL-latent: beside a file, here for a bundled name."""
    path = Path(model)
    return path / "latent" if path.is_dir() else path.with_name(f"{path.stem}-latent")


def _pair(text: str | None) -> tuple[str, ...]:
    if text is None:
        return ()
    parts = tuple(part.strip() for part in text.split(","))
    if len(parts) != 2 or not all(parts):
        raise UsageError(f"--between wants two pictures, A,B, not {one_line(text)!r}")
    return parts


def _report(found: Exploration) -> None:
    from reslift.latent.page import statements

    for one in found.projections:
        print(f"{one.label:<6} trustworthiness {one.trust:.3f}  ({one.words})")
    for line in statements(found):
        print(line)
    for note in found.notes:
        print(f"note: {note}", file=sys.stderr)


def _finish(found: Exploration) -> int:
    failures = found.encoded.failures
    for line in failures:
        print(f"failed: {line}", file=sys.stderr)
    if failures:
        print(f"{len(found.encoded.names)} done, {len(failures)} failed", file=sys.stderr)
    return SOME_FAILED if failures else 0
