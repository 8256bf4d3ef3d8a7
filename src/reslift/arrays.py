"""Images as Python holds them, to planes and back: NumPy arrays, PIL images, tensors."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reslift.errors import InputError, one_line
from reslift.pixels.planes import Pixels, Planes

if TYPE_CHECKING:
    from torch import Tensor

Pack = Callable[[list[Pixels]], Any]

MANY_BANDS = 16
TOLERANCE = 1e-4
DTYPES = ("uint8", "uint16", "float32")
PIL_SPACES = {"L": "gray", "LA": "gray", "RGB": "rgb", "RGBA": "rgb", "CMYK": "cmyk"}
PIL_KEPT = ("icc_profile", "exif", "dpi", "xmp")


def unpack(image: Any) -> tuple[list[Planes], Pack]:
    """The planes of every picture in `image`, and what puts results back into the same kind.

    Raises InputError for a kind, shape, mode, dtype or range that is not an image.
    """
    if isinstance(image, np.ndarray):
        return _from_numpy(image)
    if isinstance(image, Image.Image):
        return _from_pil(image)
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(image, torch.Tensor):
        return _from_tensor(image)
    raise InputError(
        f"cannot upscale a {type(image).__name__}; give a NumPy array (H, W) or (H, W, C), a PIL "
        "image or a tensor (C, H, W) or (B, C, H, W); `upscale_file` takes paths"
    )


def as_planes(pixels: Pixels) -> Planes:
    """(H, W, C): 1 plane is gray, 2 gray and alpha, 3 RGB, 4 RGB and alpha, more are bands."""
    bands = pixels.shape[2]
    return Planes(pixels, "rgb" if bands in (3, 4) else "gray", bands in (2, 4))


def _from_numpy(array: NDArray[Any]) -> tuple[list[Planes], Pack]:
    if array.ndim not in (2, 3) or array.size == 0:
        raise InputError(f"an array image is (H, W) or (H, W, C), not {array.shape}")
    if array.dtype.name not in DTYPES:
        raise InputError(
            f"an array image is {', '.join(DTYPES)} (floats in [0, 1]), not {array.dtype}"
        )
    if isinstance(array, np.ma.MaskedArray):
        raise InputError("an array image has no mask: give array.filled(VALUE), and the mask apart")
    pixels = array[..., None] if array.ndim == 2 else array
    if pixels.shape[2] > MANY_BANDS and pixels.shape[0] <= MANY_BANDS:
        raise InputError(
            f"{array.shape} looks like (C, H, W); give (H, W, C): numpy.moveaxis(image, 0, -1)"
        )
    _check_range(pixels)

    def pack(results: list[Pixels]) -> NDArray[Any]:
        return results[0].reshape(results[0].shape[: array.ndim])

    return [as_planes(pixels)], pack


def _check_range(values: Any) -> None:
    if values.dtype.kind == "u":
        return
    low, high = float(values.min()), float(values.max())
    if math.isnan(low):
        raise InputError(
            "float images lie in [0, 1], and this one holds NaN; fill it in: numpy.nan_to_num"
        )
    if not (low >= -TOLERANCE and high <= 1 + TOLERANCE):
        raise InputError(
            f"float images lie in [0, 1], these values in [{low:.4g}, {high:.4g}]; "
            "divide by their maximum, or give uint8 or uint16"
        )


def _from_pil(image: Image.Image) -> tuple[list[Planes], Pack]:
    image = _plain_mode(image)
    mode, size_error = image.mode, min(image.size) < 1
    if size_error or mode not in (*PIL_SPACES, "I;16"):
        raise InputError(
            f"a PIL image of mode {one_line(mode)} and size {image.size} cannot be upscaled; "
            f"modes are 1, L, LA, P, RGB, RGBA, CMYK and I;16: use image.convert"
        )
    if mode == "I;16" and image.has_transparency_data:
        raise InputError(
            "a PIL image of mode I;16 with a transparent value has no mode for its result: give an "
            "array (H, W, 2) with alpha, or remove image.info['transparency']"
        )
    pixels = _loaded(image)
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels

    def pack(results: list[Pixels]) -> Image.Image:
        sr = results[0]
        raw = sr.astype("<u2", copy=False) if mode == "I;16" else sr
        answer = Image.frombytes(mode, (sr.shape[1], sr.shape[0]), raw.tobytes())
        answer.info = {key: image.info[key] for key in PIL_KEPT if key in image.info}
        return answer

    return [Planes(pixels, PIL_SPACES.get(mode, "gray"), mode in ("LA", "RGBA"))], pack


def _loaded(image: Image.Image) -> NDArray[Any]:
    """The pixels; a file behind them is only now read, and may be cut off, damaged or closed."""
    try:
        return np.asarray(image)
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise InputError(f"the PIL image cannot be decoded: {one_line(error)}") from error


def _plain_mode(image: Image.Image) -> Image.Image:
    """Black and white and palettes as gray and colour; a transparent colour as alpha."""
    if image.mode in ("1", "L", "P", "RGB") and image.has_transparency_data:
        return image.convert("LA" if image.mode in ("1", "L") else "RGBA")
    return image.convert({"1": "L", "P": "RGB"}[image.mode]) if image.mode in "1P" else image


def _from_tensor(tensor: Tensor) -> tuple[list[Planes], Pack]:
    import torch

    if tensor.is_nested:
        raise InputError("a tensor image is one tensor, not nested ones; give them one at a time")
    if tensor.ndim not in (3, 4) or tensor.numel() == 0:
        raise InputError(f"a tensor image is (C, H, W) or (B, C, H, W), not {tuple(tensor.shape)}")
    if tensor.is_meta or tensor.layout != torch.strided:
        raise InputError("a tensor image is dense and has data, not sparse or on the meta device")
    if tensor.dtype != torch.uint8 and not tensor.is_floating_point():
        raise InputError(f"a tensor image is uint8 or float in [0, 1], not {tensor.dtype}")
    batch = tensor.detach() if tensor.ndim == 4 else tensor.detach()[None]
    if batch.shape[1] > MANY_BANDS and batch.shape[3] <= MANY_BANDS:
        raise InputError(f"{tuple(tensor.shape)} looks like (H, W, C); give (C, H, W)")
    values = (batch.cpu() if batch.dtype == torch.uint8 else batch.cpu().float()).resolve_neg()
    arrays = [picture.permute(1, 2, 0).numpy() for picture in values]
    for pixels in arrays:
        _check_range(pixels)

    def pack(results: list[Pixels]) -> Tensor:
        stack = torch.stack([torch.from_numpy(sr).permute(2, 0, 1) for sr in results])
        stack = stack.contiguous().to(tensor.device, tensor.dtype)
        return stack if tensor.ndim == 4 else stack[0]

    return [as_planes(pixels) for pixels in arrays], pack
