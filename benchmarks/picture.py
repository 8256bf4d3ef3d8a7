"""The README's picture: LR │ bicubic │ SR │ HR of one photograph, PSNR-Y under each.

    python benchmarks/picture.py HR_PHOTO OUT.png [--model lift-base] [--scale 4] [--crop X,Y,W,H]

The photograph must be one that no bundled model saw; PSNR-Y is that of the whole crop, as
docs/protocol.md says.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

import reslift
from reslift.degradations import Bicubic
from reslift.metrics import psnr_y, round8
from reslift.pixels.resize import bicubic_upscale

PANEL, GAP, FOOT = 360, 8, 30


def panels(hr: torch.Tensor, model: str, scale: int) -> list[tuple[str, torch.Tensor]]:
    """The four pictures (1, 3, H, W) uint8-valued in [0, 1], with what stands under each."""
    height, width = (side // scale * scale for side in hr.shape[2:])
    hr = hr[..., :height, :width]
    lr = Bicubic(scale)(hr).float() / 255
    truth = hr.float() / 255
    bicubic = round8(bicubic_upscale(lr, scale))
    sr = round8(reslift.load(model, scale)(lr))

    def score(name: str, image: torch.Tensor) -> tuple[str, torch.Tensor]:
        return f"{name}  {psnr_y(image, truth, scale).item():.2f} dB", image

    nearest = lr.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    small = f"LR {lr.shape[3]} x {lr.shape[2]}"
    return [
        (small, nearest),
        score("bicubic", bicubic),
        score("reslift", sr),
        ("HR", truth),
    ]


def draw(parts: list[tuple[str, torch.Tensor]]) -> Image.Image:
    """The panels side by side, enlarged by whole pixels, on white."""
    height, width = parts[0][1].shape[2:]
    zoom = max(1, PANEL // width)
    cell = (width * zoom, height * zoom)
    canvas = Image.new("RGB", (4 * cell[0] + 3 * GAP, cell[1] + FOOT), "white")
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(15)
    for number, (text, image) in enumerate(parts):
        pixels = (image[0] * 255).round().byte().permute(1, 2, 0).numpy()
        left = number * (cell[0] + GAP)
        enlarged = Image.fromarray(np.ascontiguousarray(pixels)).resize(
            cell, Image.Resampling.NEAREST
        )
        canvas.paste(enlarged, (left, 0))
        pen.text((left + cell[0] / 2, cell[1] + 5), text, fill="#222", font=font, anchor="ma")
    return canvas


def main() -> None:
    """Parse and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photo", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", default="lift-base")
    parser.add_argument("--scale", type=int, default=4)
    parser.add_argument("--crop", default="")
    given = parser.parse_args()
    photo = Image.open(given.photo).convert("RGB")
    if given.crop:
        x, y, width, height = map(int, given.crop.split(","))
        photo = photo.crop((x, y, x + width, y + height))
    hr = torch.from_numpy(np.array(photo)).permute(2, 0, 1)[None].contiguous()
    draw(panels(hr, given.model, given.scale)).save(given.out, optimize=True)


if __name__ == "__main__":
    main()
