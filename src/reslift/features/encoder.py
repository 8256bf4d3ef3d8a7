"""The encoder of an autoencoder that was trained here, as features.

What an encoder keeps of an image is what its decoder needed. It was fitted to no human judgement,
so all channels weigh the same, and distances of different encoders do not compare.
"""

from __future__ import annotations

import torch
from torch import Tensor

from reslift.checkpoint import load
from reslift.errors import UsageError, one_line
from reslift.features.base import Features, three_channels, unit_distance
from reslift.models.base import pad_to_multiple


class Encoder(Features):
    """All features of a model's ``encode`` but the image itself.

    Args:
        model: zoo name, checkpoint or run folder.

    Raises:
        UsageError: the model takes images of one size only, or keeps no map with a position.
        CheckpointError, UnknownName: there is no such model.
    """

    def __init__(self, model: str) -> None:
        super().__init__()
        self.model, card = load(model)
        self.label = f"distance in the encoder of {one_line(card.name)}"
        if self.model.size is not None:
            raise UsageError(
                f"{one_line(model)} takes {self.model.size}x{self.model.size} pixels only, so its "
                f"encoder cannot compare pictures: name a model that takes any size"
            )
        self.least = self.model.multiple_of

    def maps(self, image: Tensor) -> list[Tensor]:
        """Maps of (B, 1 or 3, H, W), as the model's ``encode`` describes them."""
        x = three_channels(image) if self.model.channels == 3 else image.mean(1, keepdim=True)
        x = pad_to_multiple(x, self.model.multiple_of)
        return [feature for feature in self.model.encode(x) if feature is not x]

    def distance(self, sr: Tensor, hr: Tensor) -> Tensor:
        with torch.no_grad():
            truth = self.maps(hr)
        ours = self.maps(sr)
        return unit_distance(ours, truth, [sr.new_ones(())] * len(ours))
