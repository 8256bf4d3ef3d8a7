"""System S2: an hourglass of strided and transposed convolutions, and the article's strategies.

::

    published   lr ─ 64 ─ ↓32 ─ ↓16 ─ ↑32 ─ ↑64 ─ 3 ─ sigmoid ─ bilinear ×s ─ sr

    repaired    lr ─ 64 ─┬─ ↓32 ─┬─ ↓16 ─ ↑32 ─ + ─ ↑64 ─ + ─ blocks ─ 3·s², shuffle ─ + ─ sr
                │        │       └──────────────┘         │                            │
                │        └────────────────────────────────┘                            │
                └───────────────────────── bicubic ×s ─────────────────────────────────┘

In the published form everything learned keeps the LR size; all of the enlargement is a bilinear
resize after the sigmoid, so the best it can do is a picture whose bilinear enlargement is good, a
sharpened LR. Sizes that 4 does not divide come out shorter; here LR is padded and the answer
cropped, in both forms.

The repaired form keeps encoder and decoder, makes the detail at HR with residual blocks and a
PixelShuffle (Shi et al. 2016), and adds the bicubic picture at the end, without a sigmoid. The
strategies that the article names are choices of this form, in any combination:

``residual``
    additive skips between encoder and decoder (Mao et al. 2016) bring back what the strides lost;
    the only one that is on when nothing is said.
``multiscale``
    one hourglass for each level of an image pyramid: ×4 as ×2 and ×2, each adding its detail to the
    enlarged answer of the level below (LapSRN, Lai et al. 2017; trained by the last answer alone).
``attention``
    channel and spatial attention in each block, over windows: see :mod:`reslift.models.attention`.
``vae``
    the latent is a distribution: see :mod:`reslift.models.variational`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reslift.models import reach
from reslift.models.attention import AttentiveBlock, block_reach
from reslift.models.blocks import (
    Interpolation,
    ResidualBlock,
    conv,
    expand,
    residual_blocks,
    silent,
    wake,
)
from reslift.models.noise import normal_at
from reslift.models.variational import LatentMap, Normal, Variational, detail_of, kl_divergence

STRATEGIES = ("residual", "multiscale", "attention", "vae")
LATENT_STRIDE = 4
NEXT_LEVEL = 1 << 40


class Hourglass(Variational):
    """Strided encoder to a quarter of the size, transposed decoder back.

    Args:
        scale: (B, C, H, W) → (B, C, sH, sW).
        channels: image channels.
        width: features at LR size, a multiple of 4; half as many after each stride.
        blocks: residual blocks at LR size in the repaired form.
        form: ``repaired`` or ``published``.
        strategies: of the repaired form, names from ``STRATEGIES``; None is ``["residual"]``.

    ``encode`` gives [latent (B, width/4, H/4, W/4)], or repaired [lr, outer (B, width, H, W),
    middle (B, width/2, H/2, W/2), latent]. Where it is variational the latent has ``width``
    channels, for it has more to say, and its log σ² stands before it.
    With ``multiscale`` these are of the first level; the further ones belong to ``decode``.
    """

    forms = ("published", "repaired")

    def __init__(
        self,
        scale: int = 4,
        channels: int = 3,
        width: int = 64,
        blocks: int = 2,
        form: Literal["published", "repaired"] = "repaired",
        strategies: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        chosen = choose(form, strategies, scale, blocks)
        self.declare(scale, channels, width=width, blocks=blocks, form=form, strategies=chosen)
        if width % 4:
            raise ValueError(f"width {width} is not a multiple of 4")
        self.multiple_of, self.is_variational = LATENT_STRIDE, "vae" in chosen
        self.factor = smallest_factor(scale) if "multiscale" in chosen else scale
        half, quarter = width // 2, width // 4
        self.down = nn.ModuleList(
            [conv(channels, width), conv(width, half, stride=2), conv(half, quarter, stride=2)]
        )
        latents = width if self.is_variational else quarter
        self.up = nn.ModuleList([expand(latents, half, 4), expand(half, width, 4)])
        self.refine: nn.Sequential | None = None
        self.latent: LatentMap | None = None
        self.above: Hourglass | None = None
        if form == "repaired":
            wake(self.down, self.up)
            self.refine = residual_blocks(width, blocks, self._block())
            self.tail = silent(conv(width, channels * self.factor**2))
            self.skip = Interpolation(self.factor, channels)
            if self.is_variational:
                self.latent = LatentMap(quarter, latents, channels * self.factor**2)
            if (rest := scale // self.factor) > 1:
                further = chosen if smallest_factor(rest) < rest else _without(chosen, "multiscale")
                self.above = Hourglass(rest, channels, width, blocks, form, further)
        else:
            self.tail = conv(width, channels)
            self.skip = Interpolation(scale, channels, "bilinear")
        self.halo = reach.halo(self._layers(blocks), scale, self.multiple_of)

    def _has(self, strategy: str) -> bool:
        return strategy in self.arguments["strategies"]

    def _block(self) -> type[ResidualBlock]:
        return AttentiveBlock if self._has("attention") else ResidualBlock

    def _layers(self, blocks: int) -> list[reach.Layer]:
        strided, rise = reach.conv(3, 2), reach.transposed(4, 2, 1)
        layers = [reach.conv(), strided, strided, rise, rise]
        if self.refine is None:  # the bilinear enlargement looks at one neighbour
            return [*layers, reach.conv(), reach.conv(), reach.enlarge(self.scale)]
        block = block_reach() if self._has("attention") else [reach.conv(), reach.conv()]
        layers += [*block * blocks, reach.conv(), reach.enlarge(self.factor)]
        return layers if self.above is None else [*layers, *self.above._layers(blocks)]

    def encode(self, lr: Tensor) -> list[Tensor]:
        outer = F.relu(self.down[0](lr))
        middle = F.relu(self.down[1](outer))
        latent = F.relu(self.down[2](middle))
        if self.refine is None:
            return [latent]
        if self.latent is None:
            return [lr, outer, middle, latent]
        prior = self.latent.prior(latent)
        return [lr, outer, middle, prior.log_variance, prior.mean]

    def decode(self, features: list[Tensor]) -> Tensor:
        if self.refine is None:
            x = self.tail(F.relu(self.up[1](F.relu(self.up[0](features[-1])))))
            sr: Tensor = self.skip(torch.sigmoid(x))
            return sr
        level = self._level(features)
        return level if self.above is None else self.above.decode(self.above.encode(level))

    def _level(self, features: list[Tensor]) -> Tensor:
        """The image of this level of the pyramid, (B, C, fH, fW)."""
        assert self.refine is not None
        lr, outer, middle = features[:3]
        skips = self._has("residual")
        x = self.up[0](features[-1])
        x = self.up[1](F.relu(x + middle if skips else x))
        x = F.relu(x + outer if skips else x)
        detail = F.pixel_shuffle(self.tail(self.refine(x)), self.factor)
        level: Tensor = detail.float() + self.skip(lr)
        return level

    def draw_from_prior(self, lr: Tensor, seeds: Tensor, origin: tuple[int, int]) -> Tensor:
        features = self.encode(lr)
        prior = Normal(features[-1], features[-2])
        latent = prior.draw(self._noise(prior, seeds, origin))
        level = self._level([*features[:-1], latent])
        if self.above is None:
            return level
        top, left = (place * self.factor for place in origin)
        return self.above.draw_from_prior(level, seeds + NEXT_LEVEL, (top, left))

    def draw_from_posterior(
        self, lr: Tensor, hr: Tensor, seeds: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        assert self.latent is not None
        features = self.encode(lr)
        prior = Normal(features[-1], features[-2])
        posterior = self.latent.posterior(prior, detail_of(hr, self.skip(lr), self.factor))
        latent = posterior.draw(self._noise(prior, seeds, (0, 0)))
        level = self._level([*features[:-1], latent])
        nats = [kl_divergence(posterior, prior)]
        if self.above is None:
            return level, nats
        sr, further = self.above.draw_from_posterior(level, hr, seeds + NEXT_LEVEL)
        return sr, nats + further

    @staticmethod
    def _noise(prior: Normal, seeds: Tensor, origin: tuple[int, int]) -> Tensor:
        top, left = (place // LATENT_STRIDE for place in origin)
        channels, height, width = prior.mean.shape[1:]
        return normal_at(seeds, channels, height, width, top, left)


def choose(form: str, strategies: Sequence[str] | None, scale: int, blocks: int) -> list[str]:
    """The strategies in the order of ``STRATEGIES``; None is what the form has by itself.

    Raises:
        ValueError: a name that is none or is there twice, or a choice that makes no sense.
    """
    if strategies is None:
        return ["residual"] if form == "repaired" else []
    if isinstance(strategies, str):
        raise ValueError(f'strategies is a list, like ["{strategies}"]')
    for name in strategies:
        if name not in STRATEGIES:
            raise ValueError(f"strategy {name!r} is not one of {', '.join(STRATEGIES)}")
        if strategies.count(name) > 1:
            raise ValueError(f"strategy {name!r} is there twice")
    if strategies and form != "repaired":
        raise ValueError(f"form {form!r} has no strategies: use form repaired, or leave them out")
    if "multiscale" in strategies and smallest_factor(scale) == scale:
        raise ValueError(f"multiscale needs a scale that is a product, like 4, 6 or 8, not {scale}")
    if "attention" in strategies and not blocks:
        raise ValueError("attention is a part of the residual blocks: blocks starts at 1 with it")
    return [name for name in STRATEGIES if name in strategies]


def smallest_factor(scale: int) -> int:
    """The smallest prime that divides ``scale``, which is that of the first level; 1 of 1."""
    return next((f for f in range(2, scale + 1) if scale % f == 0), scale)


def _without(names: list[str], name: str) -> list[str]:
    return [other for other in names if other != name]
