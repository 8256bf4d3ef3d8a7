"""How a GeoTIFF is laid out in its file: as the source is, unless it was wished otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from reslift.errors import UsageError, one_line
from reslift.media.base import Wishes
from reslift.media.geotiff.file import Opened, is_from_white
from reslift.pixels.regrid import Regrid

LAYOUTS = ("cog", "tiles", "strips")
LOSSLESS = ("deflate", "lzw", "zstd", "lzma", "packbits", "lerc", "lerc_deflate", "lerc_zstd")
LOSSY = ("jpeg", "webp")
COMPRESSIONS = ("none", *LOSSLESS, *LOSSY)
IN_COG = ("none", "deflate", "lzw", "zstd", "lzma", "lerc", "lerc_deflate", "lerc_zstd", *LOSSY)
PREDICTABLE = ("deflate", "lzw", "zstd")
TILE = 512
STRIP = 2**17
SMALLEST_OVERVIEW = 256
WIDEST_STRIPS = 16_384


@dataclass(frozen=True)
class Layout:
    """What `rasterio.open` and the COG driver are told, and how tiles come to the file.

    Attributes:
        kind: "cog", "tiles" or "strips".
        block: (height, width) of a tile or strip of the result.
        compression: an entry of `COMPRESSIONS`.
        overviews: whether smaller copies go into the file.
        interleave: "pixel" or "band".
        notes: what differs from the source, a sentence each.
    """

    kind: str
    block: tuple[int, int]
    compression: str
    overviews: bool
    interleave: str
    notes: tuple[str, ...] = ()

    @property
    def is_lossy(self) -> bool:
        """Whether samples change when they are saved; the COG driver's WebP is never lossless."""
        return self.compression == "jpeg" or (self.compression == "webp" and self.kind == "cog")


def layout(raster: Opened, wishes: Wishes, grid: Regrid, passes: int) -> Layout:
    """How the result of `raster` is laid out.

    passes: how often the bands are gone through; more than one keeps them apart in the file.

    Raises UsageError for a layout or compression that is not there, or does not go together.
    """
    source = raster.dataset
    structure = source.tags(ns="IMAGE_STRUCTURE")
    block = source.block_shapes[0]
    tiled = block[1] < raster.width or (block[0] > 1 and block[0] % 16 == 0 == block[1] % 16)
    kind = wishes.layout or ("cog" if structure.get("LAYOUT") == "COG" else "")
    if kind and kind not in LAYOUTS:
        raise UsageError(f"--layout {one_line(kind)}: it is one of {', '.join(LAYOUTS)}")
    wide = grid.wide > WIDEST_STRIPS
    kind = kind or ("tiles" if tiled or wide or source.driver != "GTiff" else "strips")
    unfit = _unfit_for_cog(raster) if kind == "cog" else ""
    kind = "tiles" if unfit else kind
    compression, notes = _compression(raster, wishes, structure, kind)
    if unfit:
        notes = (*notes, f"GDAL writes no COG of {unfit}: the result has tiles")
    side = block[0] if tiled and block[0] == block[1] and block[0] % 16 == 0 else TILE
    strip = max(1, min(grid.high, STRIP // grid.wide))
    interleave = str(source.interleaving.value if source.interleaving else "band").lower()
    return Layout(
        kind,
        (strip, grid.wide) if kind == "strips" else (min(side, 2048),) * 2,
        compression,
        _overviews(raster, wishes, kind),
        "band" if passes > 1 else interleave,
        notes,
    )


def is_damaged(raster: Opened) -> bool:
    """Whether samples changed when the raster was saved, as far as it says how that was done."""
    structure = raster.dataset.tags(ns="IMAGE_STRUCTURE")
    if raster.dataset.driver != "GTiff":
        return not structure.get("COMPRESSION_REVERSIBILITY", "").startswith("LOSSLESS")
    if float(structure.get("MAX_Z_ERROR") or 0):
        return True
    packing = structure.get("COMPRESSION", "")
    lossless = structure.get("COMPRESSION_REVERSIBILITY", "").startswith("LOSSLESS")
    return any(name in packing for name in ("JPEG", "WEBP", "JXL")) and not lossless


def _unfit_for_cog(raster: Opened) -> str:
    """What of a raster the COG driver would change; empty where that is nothing."""
    if is_from_white(raster.dataset):
        return "gray whose 0 is white"
    nodata = raster.dataset.nodatavals
    if nodata[0] is not None and None in nodata:
        return "bands some of which have no nodata value"
    return ""


def _overviews(raster: Opened, wishes: Wishes, kind: str) -> bool:
    if wishes.overviews is not None:
        return wishes.overviews
    return kind == "cog" or bool(raster.dataset.overviews(1))


def _compression(
    raster: Opened, wishes: Wishes, structure: dict[str, str], kind: str
) -> tuple[str, tuple[str, ...]]:
    """The compression, and notes on one that could not be kept."""
    known = IN_COG if kind == "cog" else COMPRESSIONS
    found = structure.get("COMPRESSION", "none").lower().removeprefix("ycbcr ")
    if raster.dataset.driver != "GTiff":
        found = "deflate"
    wanted = (wishes.compression or found).lower()
    if wishes.compression and wanted not in known:
        raise UsageError(
            f"--compression {one_line(wishes.compression)}: it is one of {', '.join(known)}"
        )
    why = _unfit(raster, wanted, known)
    if why and wishes.compression:
        raise UsageError(f"--compression {wanted}: {why}")
    notes = (f"{wanted.upper()} becomes DEFLATE: {why}",) if why else ()
    return ("deflate" if why else wanted), notes


def _unfit(raster: Opened, wanted: str, known: tuple[str, ...]) -> str:
    """Why a compression cannot hold the result; empty where it can."""
    source = raster.dataset
    if wanted not in known:
        return "reslift does not write it"
    if wanted in LOSSY and any(nodata is not None for nodata in source.nodatavals):
        return "it is lossy and would change the nodata value"
    if wanted in LOSSY and (raster.dtype.name != "uint8" or raster.count not in (1, 3, 4)):
        return "it holds 8-bit gray and colours only"
    if wanted == "jpeg" and raster.count == 4:
        return "it has no place for a fourth band"
    if wanted == "webp" and raster.count == 1:
        return "it holds colours only"
    return ""


def creation(raster: Opened, plan: Layout, grid: Regrid, quality: int) -> dict[str, Any]:
    """What `rasterio.open(…, "w", **creation)` is told for a plain GeoTIFF."""
    source = raster.dataset
    options = {
        "driver": "GTiff",
        "width": grid.wide,
        "height": grid.high,
        "count": raster.count,
        "dtype": raster.dtype.name,
        "nodata": None if raster.nodata_differs else source.nodata,
        "INTERLEAVE": plan.interleave.upper(),
        "BIGTIFF": "IF_SAFER",
        "PHOTOMETRIC": _photometric(raster, plan),
        **_blocks(plan),
        **_packing(raster, plan, quality),
    }
    bits = source.tags(1, ns="IMAGE_STRUCTURE").get("NBITS")
    if bits:
        options["NBITS"] = bits
        options.pop("PREDICTOR", None)
    profile = source.tags(ns="COLOR_PROFILE").get("SOURCE_ICC_PROFILE")
    if profile:
        options["SOURCE_ICC_PROFILE"] = profile
    return options


def cog_creation(raster: Opened, plan: Layout, quality: int) -> dict[str, Any]:
    """What the COG driver is told when it copies the plain GeoTIFF."""
    packing = _packing(raster, plan, quality)
    return {
        "driver": "COG",
        "BLOCKSIZE": plan.block[0],
        "COMPRESS": plan.compression.upper(),
        "PREDICTOR": "YES" if "PREDICTOR" in packing else "NO",
        "QUALITY": quality,
        "BIGTIFF": "IF_SAFER",
        "OVERVIEWS": "IGNORE_EXISTING" if plan.overviews else "NONE",
        "RESAMPLING": resampling(raster).upper(),
    }


def resampling(raster: Opened) -> str:
    """How overviews are made: "nearest" for classes, "average" for everything else."""
    from rasterio.enums import ColorInterp

    classes = any(color is ColorInterp.palette for color in raster.dataset.colorinterp)
    classes = classes and not is_from_white(raster.dataset)
    return "nearest" if classes else "average"


def overview_factors(height: int, width: int) -> list[int]:
    """Powers of two until the longer side is 256 or less."""
    factors = [2]
    while max(height, width) / factors[-1] > SMALLEST_OVERVIEW:
        factors.append(factors[-1] * 2)
    return factors


def _blocks(plan: Layout) -> dict[str, Any]:
    if plan.kind == "strips":
        return {"TILED": "NO", "BLOCKYSIZE": plan.block[0]}
    return {"TILED": "YES", "BLOCKYSIZE": plan.block[0], "BLOCKXSIZE": plan.block[1]}


def _packing(raster: Opened, plan: Layout, quality: int) -> dict[str, Any]:
    if plan.compression == "none":
        return {}
    packing: dict[str, Any] = {"COMPRESS": plan.compression.upper()}
    if plan.compression in PREDICTABLE:
        packing["PREDICTOR"] = 3 if raster.dtype.kind == "f" else 2
    if plan.compression == "jpeg":
        packing["JPEG_QUALITY"] = quality
    if plan.compression == "webp":
        packing["WEBP_LOSSLESS"] = "YES"
    return packing


def _photometric(raster: Opened, plan: Layout) -> str:
    from rasterio.enums import ColorInterp

    colors = raster.dataset.colorinterp
    if is_from_white(raster.dataset):
        return "MINISWHITE"
    if colors[:3] == (ColorInterp.red, ColorInterp.green, ColorInterp.blue):
        return "YCBCR" if plan.compression == "jpeg" and raster.count == 3 else "RGB"
    if colors[0] is ColorInterp.palette and raster.count == 1:
        return "PALETTE"
    return "MINISBLACK"
