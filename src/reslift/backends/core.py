"""What of a model becomes a graph or a script; the padding around it each writes in its own way."""

from __future__ import annotations

from torch import Tensor, nn

from reslift.models import SRModel


class Core(nn.Module):
    """``decode(encode(lr))``, without the checks and the padding around it."""

    def __init__(self, model: SRModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, lr: Tensor) -> Tensor:
        return self.model.decode(self.model.encode(lr))
