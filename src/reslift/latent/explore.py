"""Everything that ``reslift latent`` finds out about a model and a set, in one object."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from reslift.errors import InputError
from reslift.latent.encoding import Encoded, encode
from reslift.latent.neighbours import agreement, nearest, neighbour_count
from reslift.latent.project import Axes, Projection, principal_axes, project
from reslift.latent.source import FEWEST, Source
from reslift.latent.strips import (
    Share,
    Strip,
    choose_pair,
    find_picture,
    interpolations,
    latent_share,
    middle_picture,
    traversals,
)


@dataclass(frozen=True)
class Exploration:
    """What was found.

    Attributes:
        axes: principal axes of the pooled latents.
        projections: maps, PCA first.
        neighbours: (N, k) numbers of the nearest pictures in the latent space, nearest first.
        distances: (N, k) to them.
        agreement: share of neighbours with the same label and by chance; None without labels that
            several pictures share.
        pair: the two pictures of the interpolations. start: the picture of the traversals.
        notes: what could not be made, a line each.
    """

    source: Source
    encoded: Encoded
    axes: Axes
    projections: list[Projection]
    neighbours: Tensor
    distances: Tensor
    agreement: tuple[float, float] | None
    share: Share
    pair: tuple[int, int]
    start: int
    interpolations: list[Strip]
    traversals: list[Strip]
    notes: list[str]
    crop: int
    seed: int

    @property
    def labelled(self) -> bool:
        """Whether labels say anything: more than one, and not one a picture."""
        return self.agreement is not None

    @property
    def ranked_labels(self) -> list[str]:
        """Labels, the most frequent first; none where they say nothing."""
        return [label for label, _ in Counter(self.encoded.labels).most_common() if self.labelled]


def explore(
    source: Source,
    *,
    seed: int = 0,
    crop: int = 0,
    between: Sequence[str] = (),
    start: str = "",
    advance: Callable[[int], None] = lambda done: None,
    say: Callable[[str], None] = lambda text: None,
) -> Exploration:
    """Encode a set, map it, and walk between and through its pictures.

    Args:
        source: from :func:`reslift.latent.source.open_source`.
        seed: of t-SNE and UMAP.
        crop: only the middle square of so many HR pixels of each picture; 0 takes all.
        between: two pictures by name or number, for the interpolations.
        start: the picture that the traversals go through; the one nearest to the mean otherwise.
        advance: called with the number of pictures that were just encoded.
        say: called with what is being done next.

    Raises:
        InputError: fewer than three pictures could be used.
        UsageError: ``between`` or ``start`` name no picture.
    """
    encoded = encode(source, crop, advance)
    if len(encoded.names) < FEWEST:
        reason = f": {encoded.failures[0]}" if encoded.failures else ""
        raise InputError(f"{len(encoded.names)} pictures could be used, {FEWEST} needed{reason}")
    vectors = torch.stack(encoded.vectors)
    axes = principal_axes(vectors)
    pair = choose_pair(encoded, axes, between)
    middle = find_picture(encoded, start) if start else middle_picture(encoded, axes)
    say("mapping")
    projections, notes = project(vectors, axes, seed)
    neighbours, distances = nearest(vectors, neighbour_count(len(vectors)))
    say("decoding strips")
    return Exploration(
        source,
        encoded,
        axes,
        projections,
        neighbours,
        distances,
        agreement(encoded.labels, neighbours) if len(set(encoded.labels)) > 1 else None,
        latent_share(source, encoded, axes, crop),
        pair,
        middle,
        interpolations(source, encoded, pair, crop),
        traversals(source, encoded, axes, middle, crop),
        notes,
        crop,
        seed,
    )
