"""Looking inside: what a model makes of a set of pictures, and of what lies between them.

::

    source ─ encoding ─┬─ project, neighbours ─ maps ────┐
             (pool)    └─ strips (walk) ─────────────────┴─ explore ─ page, drawing, save

source     model, pictures and damage            walk        interpolation and traversal of features
encoding   pictures → latents, numbers           strips      decoded frames
pool       any latent → one vector               explore     all of it in one object
project    PCA, t-SNE, UMAP                      page        the HTML page
neighbours trustworthiness, agreement            drawing     maps as PNG
"""

from __future__ import annotations

from reslift.latent.explore import Exploration, explore
from reslift.latent.save import prepare, save
from reslift.latent.source import SPLITS, Source, open_source

__all__ = ["SPLITS", "Exploration", "Source", "explore", "open_source", "prepare", "save"]
