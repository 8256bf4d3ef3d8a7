"""Pictures that are made for training, beside the photographs of a recipe."""

from __future__ import annotations

from reslift.datasets.base import ImageSet
from reslift.datasets.collage import collage_set
from reslift.datasets.drawn import drawn_set
from reslift.datasets.turned import turned_set
from reslift.recipe import DataPart


def made_sets(part: DataPart, photographs: ImageSet) -> dict[str, ImageSet]:
    """What a recipe has made, by the words of a card; sets may be empty."""
    return {
        "of them drawn": drawn_set(part.drawn),
        "turned": turned_set(photographs, part.turned),
        "collages": collage_set(photographs, part.collages),
    }
