"""Latent vectors as maps of two dimensions: PCA always, t-SNE and UMAP where they are installed.

Every map is a function of the vectors and the seed. t-SNE (van der Maaten and Hinton 2008) and UMAP
(McInnes et al. 2018) see the first 50 principal scores and start from PCA; both keep who is near
whom and say nothing by the distance between groups.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

import torch
from torch import Tensor

from reslift.latent.neighbours import neighbour_count, trustworthiness

SCORES = 50
PERPLEXITY = 30
FEWEST_FOR_TSNE = 10
GET = 'python -m pip install "reslift[analysis]"'


@dataclass(frozen=True)
class Axes:
    """Principal axes of (N, D) vectors.

    Attributes:
        mean: (D,).
        directions: (K, D), orthonormal, widest first; the largest entry of each is positive.
        deviations: (K,) standard deviations along them.
        shares: (K,) of the variance.
    """

    mean: Tensor
    directions: Tensor
    deviations: Tensor
    shares: Tensor

    def scores(self, vectors: Tensor) -> Tensor:
        """(N, D) → (N, K) float64."""
        return (vectors.double() - self.mean) @ self.directions.T


@dataclass(frozen=True)
class Projection:
    """A map.

    Attributes:
        key: ``pca``, ``tsne`` or ``umap``.
        label: as it is shown.
        points: (N, 2) float64.
        trust: trustworthiness over ``k`` neighbours, 0 to 1.
        words: what made it.
    """

    key: str
    label: str
    points: Tensor
    trust: float
    k: int
    words: str


def principal_axes(vectors: Tensor) -> Axes:
    """Principal component analysis of (N, D) vectors, N at least 2, in float64."""
    exact = vectors.double()
    mean = exact.mean(0)
    _, values, directions = torch.linalg.svd(exact - mean, full_matrices=False)
    largest = directions.gather(1, directions.abs().argmax(1, keepdim=True))
    variances = values.square() / max(len(exact) - 1, 1)
    total = variances.sum()
    shares = variances / total if total > 0 else torch.zeros_like(variances)
    return Axes(mean, directions * largest.sign(), variances.sqrt(), shares)


def project(vectors: Tensor, axes: Axes, seed: int) -> tuple[list[Projection], list[str]]:
    """All maps that can be made here, PCA first, and a line for each that cannot."""
    scores = axes.scores(vectors)
    flat = torch.nn.functional.pad(scores, (0, 2))[:, :2]
    shares = [f"{share:.1%}" for share in axes.shares[:2].tolist()]
    found = [("pca", "PCA", flat, f"variance shown: {' + '.join(shares)}")]
    notes = []
    if len(vectors) < FEWEST_FOR_TSNE:
        notes.append(f"t-SNE needs {FEWEST_FOR_TSNE} pictures, {len(vectors)} are here")
    elif installed("openTSNE") or installed("sklearn"):
        points, words = tsne(scores[:, :SCORES], seed)
        found.append(("tsne", "t-SNE", points, words))
    else:
        notes.append(f"t-SNE is left out: neither openTSNE nor scikit-learn is installed; {GET}")
    if installed("umap") and len(vectors) >= FEWEST_FOR_TSNE:
        points, words = umap(scores[:, :SCORES], seed)
        found.append(("umap", "UMAP", points, words))
    k = neighbour_count(len(vectors))
    made = [
        Projection(key, label, points, trustworthiness(vectors, points, k), k, words)
        for key, label, points, words in found
    ]
    return made, notes


def installed(package: str) -> bool:
    """Whether a package can be imported."""
    return importlib.util.find_spec(package) is not None


def tsne(scores: Tensor, seed: int) -> tuple[Tensor, str]:
    """t-SNE of (N, K) scores by openTSNE, else by scikit-learn, and its settings in words."""
    perplexity = min(PERPLEXITY, (len(scores) - 1) / 3)
    words = f"perplexity {perplexity:.3g}, seed {seed}, {scores.shape[1]} principal scores"
    if installed("openTSNE"):
        import openTSNE

        maker = openTSNE.TSNE(
            perplexity=perplexity, neighbors="exact", random_state=seed, n_jobs=1, verbose=False
        )
        return torch.tensor(maker.fit(scores.numpy()), dtype=torch.float64), f"openTSNE, {words}"
    from sklearn.manifold import TSNE

    points = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(
        scores.numpy()
    )
    return torch.tensor(points, dtype=torch.float64), f"scikit-learn, {words}"


def umap(scores: Tensor, seed: int) -> tuple[Tensor, str]:
    """UMAP of (N, K) scores by umap-learn, and its settings in words."""
    import umap

    near = min(15, len(scores) - 1)
    maker = umap.UMAP(n_neighbors=near, random_state=seed, n_jobs=1, init="pca")
    points = maker.fit_transform(scores.numpy())
    words = f"umap-learn, {near} neighbours, seed {seed}, {scores.shape[1]} principal scores"
    return torch.tensor(points, dtype=torch.float64), words
