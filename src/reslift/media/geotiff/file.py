"""rasterio, and only here: opening a raster, its georeference and metadata, and how to write it."""

from __future__ import annotations

import contextlib
import copy
import logging
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reslift.errors import InputError, OutputError, ResliftError, one_line
from reslift.pixels.agreement import known_of
from reslift.pixels.regrid import Regrid
from reslift.pixels.tiles import Box

GET = 'python -m pip install "reslift[geo]"'
JPEG_2000 = b"\0\0\0\x0cjP  "
DTYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64")
MEBI = 2**20
CACHE = (64 * MEBI, 512 * MEBI)
OWN_DOMAINS = ("IMAGE_STRUCTURE", "DERIVED_SUBDATASETS", "SUBDATASETS", "COLOR_PROFILE", "RPC")
GRID_OF_JPEG_2000 = "xml:gml.root-instance"
NEIGHBOURS = 4
RECORD = "RESLIFT"
JOINT_NODATA = "NODATA_VALUES"
GEOLOCATION = "GEOLOCATION"
STALE = ("STATISTICS_", "OVR_RESAMPLING_ALG")
SIDE_FILES = (".aux.xml", ".msk", ".ovr")


class Opened:
    """A raster that is read; every failure is an InputError that names the file."""

    def __init__(self, dataset: Any, path: Path) -> None:
        self.dataset, self.path = dataset, path
        self.height, self.width, self.count = dataset.height, dataset.width, dataset.count
        self.dtype = np.dtype(dataset.dtypes[0])

    @property
    def stored(self) -> np.dtype[Any]:
        """The type of the samples in the file: GDAL reads halves as floats of 32 bits."""
        bits = self.dataset.tags(1, ns="IMAGE_STRUCTURE").get("NBITS")
        return np.dtype(np.float16) if self.dtype == np.float32 and bits == "16" else self.dtype

    @property
    def nodata_differs(self) -> bool:
        """Whether bands differ in their nodata value or in having one: a TIFF has room for one."""
        return len({str(value) for value in self.dataset.nodatavals}) > 1

    @property
    def joint_nodata(self) -> tuple[float, ...]:
        """Values of the bands that stand for a missing pixel where it has all of them; or none."""
        words = self.dataset.tags().get(JOINT_NODATA, "").split()
        with contextlib.suppress(ValueError):
            return tuple(map(float, words)) if len(words) == self.count else ()
        return ()

    def samples(self, numbers: Sequence[int], box: Box) -> NDArray[Any]:
        """The samples (bands, h, w) in a box."""
        with reading(self.path):
            read: NDArray[Any] = self.dataset.read(list(numbers), window=window(box))
        return read

    def valid(self, numbers: Sequence[int], box: Box) -> NDArray[np.bool_]:
        """Where those are data: not masked, finite, and not the largest float."""
        with reading(self.path):
            masks = self.dataset.read_masks(list(numbers), window=window(box))
        valid: NDArray[np.bool_] = masks != 0
        if self.dtype.kind == "f":
            valid &= known_of(self.samples(numbers, box))
        return valid


def window(box: Box) -> tuple[tuple[int, int], tuple[int, int]]:
    """A box as rasterio wants it."""
    return (box.top, box.bottom), (box.left, box.right)


@contextmanager
def opened(path: Path) -> Iterator[Opened]:
    """The raster at `path`. Raises InputError where it is damaged or rasterio is not installed."""
    rasterio = library(path)
    with environment(CACHE[0]):
        with reading(path):
            with path.open("rb") as file:
                is_jpeg = file.read(len(JPEG_2000)) == JPEG_2000
            driver = "JP2OpenJPEG" if is_jpeg else "GTiff"
            dataset = rasterio.open(path.absolute(), driver=driver)
        with dataset:
            try:
                yield Opened(dataset, path)
            except gdal_error():  # Some of a header is read only once it is asked for.
                with reading(path):
                    raise


def library(path: Path) -> Any:
    """rasterio. Raises InputError, saying how to get it, where it is not installed."""
    try:
        import rasterio
    except ImportError as error:
        raise InputError(
            f"cannot use {one_line(path)}: rasters on a map, and of more channels than colours and "
            f"alpha, need rasterio: {GET}"
        ) from error
    logging.getLogger("rasterio").addHandler(logging.NullHandler())
    return rasterio


def gdal_error() -> type[Exception]:
    """What rasterio passes on from GDAL as it is, which is none of its own errors."""
    from rasterio._err import CPLE_BaseError

    found: type[Exception] = CPLE_BaseError
    return found


@contextmanager
def environment(cache: int) -> Iterator[None]:
    """GDAL with `cache` bytes for decoded tiles, and masks inside their files."""
    import rasterio

    settings = {"GDAL_CACHEMAX": cache, "GDAL_TIFF_INTERNAL_MASK": True, "GDAL_NUM_THREADS": 1}
    with warnings.catch_warnings(), rasterio.Env(**settings):
        warnings.simplefilter("ignore")
        yield


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """What GDAL raises while reading, as an InputError."""
    try:
        yield
    except ResliftError:
        raise
    except MemoryError as error:
        raise InputError(f"cannot use {one_line(path)}: not enough memory to decode it") from error
    except Exception as error:
        cause = one_line(error.__cause__ or error)
        raise InputError(
            f"cannot use {one_line(path)}: damaged or not supported ({cause})"
        ) from error


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What GDAL raises while writing, as an OutputError."""
    try:
        yield
    except ResliftError:
        raise
    except Exception as error:
        cause = one_line(error.__cause__ or error)
        raise OutputError(f"cannot write {one_line(path)}: {cause}") from error


def check_whole(path: Path, target: Path) -> None:
    """Raise OutputError where the GeoTIFF at `path`, of that name later, lacks a block.

    GDAL writes the last blocks, and those of overviews, when it closes a file, and does not say
    whether there was room for them.
    """
    import rasterio

    size = path.stat().st_size
    try:
        with rasterio.open(path, driver="GTiff") as made:
            levels = len(made.overviews(1))
        for level in (None, *range(levels)):
            options = {} if level is None else {"overview_level": level}
            with rasterio.open(path, driver="GTiff", **options) as made:
                together = made.profile["interleave"] == "pixel"
                for band in made.indexes[:1] if together else made.indexes:
                    blocks = (at for at, _ in made.block_windows(band))
                    if not all(_is_there(made, band, at, size) for at in blocks):
                        raise unsound(target)
    except rasterio.errors.RasterioError as error:
        raise unsound(target) from error


def _is_there(made: Any, band: int, at: tuple[int, int], size: int) -> bool:
    """Whether the block (row, column) lies inside a file of `size` bytes."""
    names = (f"BLOCK_{what}_{at[1]}_{at[0]}" for what in ("OFFSET", "SIZE"))
    found = [made.get_tag_item(name, "TIFF", bidx=band) for name in names]
    return None not in found and sum(map(int, found)) <= size


def unsound(target: Path) -> OutputError:
    """The error of a result that was written and cannot be read."""
    return OutputError(
        f"cannot write {one_line(target)}: what was written does not read as it should; "
        "is the disk full?"
    )


def block_cache(raster: Opened, rows: int) -> int:
    """Bytes for GDAL to keep decoded what neighbouring cells of a row of them read again."""
    block = max(shape[0] for shape in raster.dataset.block_shapes)
    need = (rows + 2 * min(block, 4096)) * raster.width * raster.count * raster.dtype.itemsize
    return int(min(max(need, CACHE[0]), CACHE[1]))


def copy_georeference(source: Any, target: Any, grid: Regrid) -> None:
    """CRS, transform, ground control points and RPC of `target`, whose pixels lie in `grid`.

    The corners stay where they are: pixel (x, y) of the source is (across·x, down·y) of the result.
    """
    points, points_crs = source.gcps
    if points:
        target.gcps = [moved(point, grid) for point in points], points_crs
    else:
        if source.crs is not None:
            target.crs = source.crs
        if not source.transform.is_identity:
            target.transform = finer(source.transform, grid)
    if source.rpcs is not None:
        target.rpcs = finer_rpcs(source.rpcs, grid)


def finer(transform: Any, grid: Regrid) -> Any:
    """The transform for the pixels of the result, the far corner the same to the last bit."""
    a, b, c, d, e, f = tuple(transform)[:6]
    return type(transform)(
        _split(a, c, grid.width, grid.wide),
        _split(b, c, grid.height, grid.high),
        c,
        _split(d, f, grid.width, grid.wide),
        _split(e, f, grid.height, grid.high),
        f,
    )


def _split(step: float, origin: float, count: int, finer: int) -> float:
    """The step of which `finer` end where `count` of `step` did, or the nearest to it."""
    least = step * count / finer if finer % count else step / (finer // count)
    candidates = [least]
    for way in (math.inf, -math.inf):
        near = least
        for _ in range(NEIGHBOURS):
            near = math.nextafter(near, way)
            candidates.append(near)
    end = origin + step * count
    candidates.sort(key=lambda c: abs(c - least))
    return next((c for c in candidates if origin + c * finer == end), least)


def moved(point: Any, grid: Regrid) -> Any:
    """A ground control point, counted from the corner of the first pixel, in other pixels."""
    return type(point)(
        row=point.row * grid.down,
        col=point.col * grid.across,
        x=point.x,
        y=point.y,
        z=point.z,
        id=point.id,
        info=point.info,
    )


def finer_rpcs(rpcs: Any, grid: Regrid) -> Any:
    """RPC for other pixels. Their lines and samples are counted from the centre of the first."""
    result = copy.copy(rpcs)
    result.line_off = (rpcs.line_off + 0.5) * grid.down - 0.5
    result.samp_off = (rpcs.samp_off + 0.5) * grid.across - 0.5
    result.line_scale = rpcs.line_scale * grid.down
    result.samp_scale = rpcs.samp_scale * grid.across
    return result


def copy_metadata(source: Any, target: Any, grid: Regrid) -> None:
    """Names, units, scales, colours and tags of all domains, for the file and for each band.

    Statistics go: they are those of other pixels. Must come before any pixel is written.
    """
    if not is_from_white(source):
        target.colorinterp = source.colorinterp
    for number in source.indexes:
        if colours := colormap(source, number):
            target.write_colormap(number, colours)
    if any(scale != 1 for scale in source.scales) or any(source.offsets):
        target.scales, target.offsets = source.scales, source.offsets
    for number, name, unit in zip(source.indexes, source.descriptions, source.units, strict=True):
        if name:
            target.set_band_description(number, name)
        if unit:
            target.set_band_unit(number, unit)
    for number in (0, *source.indexes):
        _copy_tags(source, target, grid, number)


def _copy_tags(source: Any, target: Any, grid: Regrid, number: int) -> None:
    for domain in (None, *source.tag_namespaces(number)):
        if tags := kept_tags(source, number, domain, grid):
            target.update_tags(number, ns=domain, **tags)


def is_from_white(dataset: Any) -> bool:
    """Whether samples are gray whose 0 is white, to GDAL a colour table; of one bit two classes."""
    bits = dataset.tags(1, ns="IMAGE_STRUCTURE").get("NBITS")
    return bool(bits != "1" and dataset.tags(ns="IMAGE_STRUCTURE").get("MINISWHITE") == "YES")


def colormap(dataset: Any, number: int) -> dict[int, Any]:
    """The colour table of a band; empty where it has none, or only GDAL's own."""
    if is_from_white(dataset):
        return {}
    with contextlib.suppress(ValueError):
        return dict(dataset.colormap(number))
    return {}


def kept_tags(
    dataset: Any, number: int, domain: str | None, grid: Regrid | None = None
) -> dict[str, str]:
    """Tags of one domain of a band, or of the file (0), that a result has too.

    grid: from the pixels that they speak of to those that they are wanted for.
    """
    if domain in OWN_DOMAINS or domain == GRID_OF_JPEG_2000:
        return {}
    tags = dataset.tags(number, ns=domain)
    if domain is not None and domain.startswith("xml:"):
        # rasterio hands out such a domain whole, but can only set "name=value".
        name, _, value = tags.get(domain, "").partition("=")
        tags = {name: value} if name else {}
    if domain == GEOLOCATION and grid is not None:
        tags = {**tags, **_moved_geolocation(tags, grid)}
    return {
        name: value for name, value in tags.items() if name != RECORD and not name.startswith(STALE)
    }


def _moved_geolocation(tags: dict[str, str], grid: Regrid) -> dict[str, str]:
    """Which pixels of the result the arrays of places stand for: every STEP from OFFSET on."""
    half = 0.5 if tags.get("GEOREFERENCING_CONVENTION") == "PIXEL_CENTER" else 0.0
    changed = {}
    for axis, ratio in (("PIXEL", grid.across), ("LINE", grid.down)):
        for kind, shift in (("OFFSET", half), ("STEP", 0.0)):
            name = f"{axis}_{kind}"
            with contextlib.suppress(KeyError, ValueError):
                changed[name] = f"{(float(tags[name]) + shift) * ratio - shift:.17g}"
    return changed


def move_side_files(temporary: Path, target: Path) -> None:
    """Give what GDAL wrote beside the temporary file the name of the result; old ones go."""
    for suffix in SIDE_FILES:
        made, place = Path(f"{temporary}{suffix}"), Path(f"{target}{suffix}")
        if made.exists():
            made.replace(place)
        else:
            place.unlink(missing_ok=True)


def remove_side_files(temporary: Path) -> None:
    """Those that are left after a failure."""
    for suffix in SIDE_FILES:
        Path(f"{temporary}{suffix}").unlink(missing_ok=True)
