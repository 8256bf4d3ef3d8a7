"""Latents that are distributions: a conditional variational autoencoder (Sohn et al. 2015).

::

    lr ─ encoder ─ prior p(z | lr) ────────── mean ──┐ evaluation
                      │        └──── mean + σ · ε ───┤ sample ─ decoder ─ sr
    hr - base ─ convs ┴─ posterior q(z | lr, hr) ────┘ training

    loss = distance(sr, hr) + kl · KL(q ‖ p) / numbers in z

An autoencoder whose latent is noisy but made of LR alone (Kingma and Welling 2014, with LR for the
data) cannot give plausible HR images: its noise only blurs what LR says. Many HR images have the
same LR, and what tells them apart is not in it. So the posterior sees HR while training and z
learns to carry what LR lacks; the KL term holds it near the prior, which needs LR only and is what
is sampled from. The posterior's mean is a shift from the prior's (NVAE, Vahdat and
Kautz 2020), its variance is its own: so the KL term also fits the prior's variance to what z really
does, and where z says nothing the noise fades instead of only being ignored.

    p = N(m, σ²),   q = N(m + δ, τ²),   KL = ½ (δ²/σ² + τ²/σ² - 1 - ln τ²/σ²)
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reslift.errors import UsageError
from reslift.models.base import SRModel, pad_to_multiple
from reslift.models.blocks import conv, wake

LARGEST_LOG = 8.0
FIRST_LOG = -4.0
SLOPE = 0.2


@dataclass(frozen=True)
class Normal:
    """Independent normal numbers; mean and log_variance (B, F, h, w)."""

    mean: Tensor
    log_variance: Tensor

    def draw(self, noise: Tensor) -> Tensor:
        """``mean + σ · noise``, by which gradients pass (Kingma and Welling 2014)."""
        return self.mean + (self.log_variance / 2).exp() * noise


def kl_divergence(q: Normal, p: Normal) -> Tensor:
    """KL(q ‖ p) in nats of each number, (B, F, h, w) float32."""
    ratio = q.log_variance.float() - p.log_variance.float()
    gap = (q.mean.float() - p.mean.float()).square() / p.log_variance.float().exp()
    return (gap + ratio.exp() - 1 - ratio) / 2


class LatentMap(nn.Module):
    """Prior and posterior of a latent map at a quarter of LR's size.

    Args:
        features: channels of the encoder's last features.
        width: F, channels of the latent.
        details: channels of the detail that HR adds, rearranged to LR's grid: C·s².
    """

    def __init__(self, features: int, width: int, details: int) -> None:
        super().__init__()
        self.prior_head = conv(features, 2 * width, 1)
        self.look = nn.Sequential(
            *(conv(details, width), nn.LeakyReLU(SLOPE)),
            *(conv(width, width, stride=2), nn.LeakyReLU(SLOPE)),
            *(conv(width, width, stride=2), nn.LeakyReLU(SLOPE)),
        )
        wake(self)
        self.posterior_head = conv(3 * width, 2 * width, 1)
        for head in (self.prior_head, self.posterior_head):
            assert head.bias is not None
            with torch.no_grad():
                head.weight[width:] *= 0.1
                head.bias[width:] = FIRST_LOG

    def prior(self, features: Tensor) -> Normal:
        """p(z | lr) from the encoder's last features, at H/4 and W/4."""
        mean, log_variance = self.prior_head(features).chunk(2, 1)
        return Normal(mean, _bounded(log_variance))

    def posterior(self, prior: Normal, detail: Tensor) -> Normal:
        """q(z | lr, hr) from the prior and HR's detail (B, C·s², H, W)."""
        seen = torch.cat([self.look(detail), prior.mean, prior.log_variance], 1)
        shift, log_variance = self.posterior_head(seen).chunk(2, 1)
        return Normal(prior.mean + shift, _bounded(log_variance))


def _bounded(log_variance: Tensor) -> Tensor:
    """Within ±``LARGEST_LOG`` and never without a slope."""
    return LARGEST_LOG * torch.tanh(log_variance / LARGEST_LOG)


@dataclass(frozen=True)
class Samples:
    """Plausible SR images of the same LR, unclipped.

    Attributes:
        images: (n, B, C, sH, sW).
        mean: (B, C, sH, sW).
        deviation: (B, C, sH, sW), standard deviation with n - 1 in the denominator.
    """

    images: Tensor
    mean: Tensor
    deviation: Tensor


class Variational(SRModel):
    """A model that can have distributions for latents; ``is_variational`` says whether it has.

    Called as usual it decodes the prior's mean, the same answer each time.
    """

    @abstractmethod
    def draw_from_prior(self, lr: Tensor, seeds: Tensor, origin: tuple[int, int]) -> Tensor:
        """:meth:`draw` for sides that are multiples of ``multiple_of``."""

    @abstractmethod
    def draw_from_posterior(
        self, lr: Tensor, hr: Tensor, seeds: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        """SR and the KL of each latent map, for sides that are multiples of ``multiple_of``."""

    def draw(self, lr: Tensor, seeds: Tensor, origin: tuple[int, int] = (0, 0)) -> Tensor:
        """One plausible SR image for each LR image.

        The noise is a function of the seed and of the place in the whole picture, so tiles drawn
        with the same seed fit together.

        Args:
            lr: (B, C, H, W) float in [0, 1].
            seeds: (B,) int64.
            origin: row and column of lr's corner in the whole picture, multiples of
                ``multiple_of``.

        Returns:
            (B, C, sH, sW) float, not clipped.

        Raises:
            UsageError: the model is not variational.
        """
        height, width = lr.shape[2:]
        padded = pad_to_multiple(lr, require_variational(self).multiple_of)
        sr = self.draw_from_prior(padded, seeds, origin)
        return sr[..., : height * self.scale, : width * self.scale]

    def sample(self, lr: Tensor, count: int, generator: torch.Generator | None = None) -> Samples:
        """``count`` plausible SR images of each LR image, their mean and deviation.

        Args:
            lr: (B, C, H, W) float in [0, 1].
            count: n, at least 2.
            generator: on the CPU; the same state gives the same images.

        Raises:
            UsageError: the model is not variational, or ``count`` is below 2.
        """
        if count < 2:
            raise UsageError(f"{count} samples: a deviation needs 2 or more")
        seeds = torch.randint(2**62, (count, len(lr)), generator=generator).to(lr.device)
        images = torch.stack([self.draw(lr, row) for row in seeds])
        return Samples(images, images.mean(0), images.std(0))


class Learner(nn.Module):
    """A variational model as training calls it: (lr, hr, seeds) → (sr, KL).

    Args:
        model: its parameters are trained in place.

    ``forward`` takes lr (B, C, H, W), hr (B, C, sH, sW) and seeds (B,) int64, which decide the
    noise alone; it gives sr (B, C, sH, sW) and KL(q ‖ p), nats per number of the latent maps.
    """

    def __init__(self, model: Variational) -> None:
        super().__init__()
        self.model = require_variational(model)

    def forward(self, lr: Tensor, hr: Tensor, seeds: Tensor) -> tuple[Tensor, Tensor]:
        model, (height, width) = self.model, hr.shape[2:]
        lr = pad_to_multiple(lr, model.multiple_of)
        hr = pad_to_multiple(hr, model.multiple_of * model.scale)
        sr, nats = model.draw_from_posterior(lr, hr, seeds)
        kl = torch.cat([each.flatten() for each in nats]).mean()
        return sr[..., :height, :width], kl


def require_variational(model: SRModel) -> Variational:
    """The same model.

    Raises:
        UsageError: it has one answer only.
    """
    if isinstance(model, Variational) and model.is_variational:
        return model
    raise UsageError(
        "this model gives one answer and no samples: they need a variational one, which the "
        "recipe s2-vae trains"
    )


def detail_of(hr: Tensor, base: Tensor, factor: int) -> Tensor:
    """What hr has beyond base (B, C, fH, fW), on the grid below: (B, C·f², H, W).

    A larger hr is first brought to base's size by means.
    """
    ratio = hr.shape[2] // base.shape[2]
    level = F.avg_pool2d(hr, ratio) if ratio > 1 else hr
    return F.pixel_unshuffle(level.float() - base, factor)
