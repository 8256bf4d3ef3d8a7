"""Who lies beside whom: nearest neighbours, trustworthiness of a map, agreement of labels.

    T(k) = 1 - 2 / (N k (2N - 3k - 1)) · Σ_i Σ_{j in U_i} (r(i, j) - k)

U_i are those of the k nearest points of i in the map that are not among its k nearest in the latent
space, r(i, j) their rank there (Venna and Kaski, "Neighborhood preservation in nonlinear projection
methods", 2001). 1 says that whatever lies close in the map is close in the latent space too; a map
that throws the points at random comes to about 0.5.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

NEIGHBOURS = 12
ROWS = 512


def neighbour_count(count: int) -> int:
    """How many neighbours are looked at among ``count`` points: 12, or fewer of few points."""
    return max(1, min(NEIGHBOURS, (count - 1) // 2))


def nearest(vectors: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k nearest other points of each, by Euclidean distance.

    Args:
        vectors: (N, D) float.
        k: below N.

    Returns:
        Numbers (N, k) int64, nearest first, and distances (N, k).
    """
    found = []
    for start, distances in _distances(vectors):
        rows = torch.arange(len(distances))
        distances[rows, start + rows] = torch.inf
        found.append(distances.topk(k, largest=False))
    return torch.cat([f.indices for f in found]), torch.cat([f.values for f in found])


def trustworthiness(vectors: Tensor, points: Tensor, k: int) -> float:
    """T(k) of a map.

    Args:
        vectors: (N, D), the points where they come from.
        points: (N, 2), the map.
        k: neighbours, below N / 2.

    Returns:
        0 to 1; NaN for fewer than 4 points, of which nothing can be said.
    """
    count = len(vectors)
    if count < 4:
        return float("nan")
    beside = nearest(points, k)[0]
    surplus = 0
    for start, distances in _distances(vectors):
        mapped = distances.gather(1, beside[start : start + len(distances)])
        # The point itself, at distance 0, makes this the rank that starts at 1.
        for place in range(k):
            ranks = (distances < mapped[:, place : place + 1]).sum(1)
            surplus += int((ranks - k).clamp(min=0).sum())
    return 1 - 2 * surplus / (count * k * (2 * count - 3 * k - 1))


def agreement(labels: Sequence[str], neighbours: Tensor) -> tuple[float, float]:
    """Share of neighbours with the same label, and what chance would give.

    Args:
        labels: N of them.
        neighbours: (N, k) from :func:`nearest`.
    """
    numbers = {label: number for number, label in enumerate(sorted(set(labels)))}
    own = torch.tensor([numbers[label] for label in labels])
    same = (own[neighbours] == own[:, None]).double().mean().item()
    pairs = sum(n * (n - 1) for n in Counter(labels).values())
    return same, pairs / (len(labels) * (len(labels) - 1))


def _distances(vectors: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Distances from some points to all, (≤ ROWS, N) float64, with the number of the first."""
    exact = vectors.double()
    for start in range(0, len(exact), ROWS):
        part = exact[start : start + ROWS]
        yield start, torch.cdist(part, exact, compute_mode="donot_use_mm_for_euclid_dist")
