"""The architectures. To add one, write ``models/NAME.py`` and name it in ``MODELS``."""

from __future__ import annotations

from reslift.models.base import SRModel
from reslift.models.bottleneck import Bottleneck
from reslift.models.edsr import EDSR
from reslift.models.fsrcnn import FSRCNN
from reslift.models.hourglass import Hourglass
from reslift.models.isrnet import ISRNet
from reslift.models.lift import Lift
from reslift.models.residual import Residual
from reslift.models.unet import UNet

MODELS: dict[str, type[SRModel]] = {
    "lift": Lift,
    "bottleneck": Bottleneck,
    "unet": UNet,
    "hourglass": Hourglass,
    "isrnet": ISRNet,
    "residual": Residual,
    "fsrcnn": FSRCNN,
    "edsr": EDSR,
}

__all__ = ["MODELS", "Lift", "SRModel"]
