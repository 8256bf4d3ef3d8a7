"""The one place that talks to libvips: it decodes, converts and encodes pixels, never metadata."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

import numpy as np

from reslift.errors import LimitError
from reslift.formats.base import Facts, Picture, damaged

if TYPE_CHECKING:
    from reslift.limits import Limits

os.environ.setdefault("VIPS_WARNING", "0")
T = TypeVar("T")
DTYPES = {"uchar": "uint8", "char": "int8", "ushort": "uint16", "short": "int16"}
DTYPES |= {"uint": "uint32", "int": "int32", "float": "float32", "double": "float64"}
INTERPRETATIONS = {
    ("gray", 8): "b-w",
    ("gray", 16): "grey16",
    ("rgb", 8): "srgb",
    ("rgb", 16): "rgb16",
    ("cmyk", 8): "cmyk",
    ("cmyk", 16): "cmyk",
}


_ONE_AT_A_TIME = threading.Lock()


def library() -> Any:
    """pyvips, set up once, whichever thread asks first."""
    with _ONE_AT_A_TIME:
        return _library()


@functools.cache
def _library() -> Any:
    """pyvips, with its cache off (it returns stale pixels for a rewritten path).

    Its log handler goes: Python may collect an image in there, which logs too, and GLib then aborts
    the process. `VIPS_WARNING` keeps warnings off stderr; libvips reads it when it starts.
    """
    import pyvips

    with contextlib.suppress(AttributeError):
        pyvips._remove_log_handler()
    pyvips.cache_set_max(0)
    pyvips.block_untrusted_set(True)
    _hear_any_bytes(pyvips)
    return pyvips


def _hear_any_bytes(pyvips: Any) -> None:
    """libvips quotes damaged files in its messages; pyvips would fail on what is not UTF-8."""

    def text(pointer: Any) -> str:
        if pointer == pyvips.ffi.NULL:
            return ""
        return str(pyvips.ffi.string(pointer).decode("utf-8", "backslashreplace"))

    for module in (pyvips, pyvips.error):
        if hasattr(module, "_to_string"):
            module._to_string = text


def decode(
    loader: str,
    file: BinaryIO,
    facts: Facts,
    limits: Limits,
    fail_on: str = "warning",
    palette: bool = False,
    **options: Any,
) -> np.ndarray:
    """The pixels that `loader` (a source loader of libvips) finds, in its own sample type.

    fail_on: what libvips must not pass over. Below "warning" it shows garbage for damaged TIFF.
    palette: gray is RGB whose colours are all gray, of which libvips hands out one band.

    Raises InputError where the size is not the one in `facts`, LimitError where decoding takes
    longer than `limits.decode_seconds`, and whatever pyvips raises for damaged content.
    """
    load = getattr(library().Image, loader)
    source = _source(file)
    image = aside(lambda: load(source, access="sequential", fail_on=fail_on, **options))
    if palette and image.bands < facts.bands == image.bands + 2:
        image = image[0].bandjoin([image[0], *image])
    if (image.width, image.height, image.bands) != (facts.width, facts.height, facts.bands):
        raise damaged(
            f"the header says {facts.width}×{facts.height} with {facts.bands} bands, the content "
            f"{image.width}×{image.height} with {image.bands}"
        )
    if image.format not in DTYPES:
        raise damaged(f"samples of the type {image.format} are not supported")
    with _deadline(image, limits):
        data = aside(image.write_to_memory, stop=lambda: image.set_kill(True))
    shape = (image.height, image.width, image.bands)
    return np.frombuffer(data, DTYPES[image.format]).reshape(shape)


def decode_tiff(file: BinaryIO, facts: Facts, limits: Limits, page: int = 0) -> np.ndarray:
    """The pixels of a page of a TIFF; as `decode`."""
    options = {"unlimited": True, "page": page, "palette": facts.private["palette"]}
    return decode("tiffload_source", file, facts, limits, **options)


def opened_tiff(file: BinaryIO, access: str) -> Any:
    """The first page of an open TIFF as a pyvips image whose pixels are read on demand.

    access: "random", or "sequential" for reading once from the top.
    """
    load = library().Image.tiffload_source
    return load(_source(file), access=access, fail_on="warning", unlimited=True)


def aside(call: Callable[[], T], stop: Callable[[], None] = lambda: None) -> T:
    """`call()`, in another thread; `stop` is to end it early where waiting is interrupted.

    libvips calls back into Python, and a KeyboardInterrupt raised in there would be lost.
    """
    with ThreadPoolExecutor(1) as thread:
        answer = thread.submit(call)
        try:
            return answer.result()
        except BaseException:
            if not answer.done():
                stop()
            raise
        finally:
            del answer  # with the exception in it, it would keep the pixels in a cycle


def _source(file: BinaryIO) -> Any:
    """A source on the open file, so that what was inspected is what is decoded."""
    file.seek(0)
    if os.name == "nt":
        return library().Source.new_from_memory(file.read())
    try:
        descriptor = file.fileno()
    except (OSError, io.UnsupportedOperation):
        return library().Source.new_from_memory(file.read())
    os.lseek(descriptor, 0, os.SEEK_SET)
    return library().Source.new_from_descriptor(descriptor)


@contextlib.contextmanager
def _deadline(image: Any, limits: Limits) -> Iterator[None]:
    late = threading.Event()

    def stop() -> None:
        late.set()
        image.set_kill(True)

    timer = threading.Timer(limits.decode_seconds, stop)
    timer.daemon = True
    timer.start()
    try:
        yield
    except Exception as error:
        if late.is_set():
            raise LimitError(
                f"decoding takes longer than the limit decode_seconds of {limits.decode_seconds} "
                f"seconds; raise it with {limits.option('decode_seconds')}"
            ) from error
        raise
    finally:
        timer.cancel()


def image_of(picture: Picture) -> Any:
    """A pyvips image on the memory of the pixels; nothing is copied, memory maps are not read."""
    pixels = picture.pixels
    image = library().Image.new_from_memory(
        pixels.data,
        picture.width,
        picture.height,
        pixels.shape[2],
        "uchar" if picture.bits == 8 else "ushort",
    )
    return image.copy(interpretation=INTERPRETATIONS[picture.space, picture.bits])


class Head:
    """A file that holds back what is written until the head of it can be replaced.

    replace: given what was written so far, the new beginning, or None while more is needed.
    """

    def __init__(self, file: BinaryIO, replace: Callable[[bytes], bytes | None]) -> None:
        self.file = file
        self.replace = replace
        self.held: bytes | None = b""

    def write(self, data: bytes) -> int:
        """Write through once the head is replaced."""
        if self.held is None:
            return self.file.write(data)
        self.held += data
        head = self.replace(self.held)
        if head is not None:
            self.file.write(head)
            self.held = None
        return len(data)


def save(image: Any, saver: str, sink: BinaryIO | Head, picture: Picture, **options: Any) -> None:
    """Write `image` with the target saver `saver` to `sink`, without any metadata.

    An exception of `sink` (a full disk) is raised as it is. picture: whose pixels `image` shows.
    """
    failures: list[BaseException] = []
    forget = forgetter(picture.pixels)

    def guarded(call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any) -> Any:
            if failures:
                return -1
            try:
                return call(*arguments)
            except BaseException as error:
                failures.append(error)
                return -1

        return run

    def write(data: bytes) -> int:
        sink.write(data)
        forget(len(data))
        return len(data)

    target = library().TargetCustom()
    target.on_write(guarded(write))
    if not isinstance(sink, Head):
        target.on_read(guarded(sink.read))
        target.on_seek(guarded(sink.seek))
    stop = functools.partial(failures.append, InterruptedError("stopped"))
    try:
        aside(lambda: getattr(image, saver)(target, keep="none", **options), stop)
    except library().Error:
        if failures:
            raise failures[0] from None
        raise
    if failures:
        raise failures[0]


def forgetter(pixels: np.ndarray) -> Callable[[int], None]:
    """For a shared memory map: now and then give its pages back, so that memory stays flat."""
    import mmap

    base = pixels
    while isinstance(base, np.ndarray) and base.base is not None:
        base = base.base
    shared = getattr(pixels, "mode", "c") in ("r", "r+", "w+")
    if not (isinstance(base, mmap.mmap) and shared and hasattr(mmap, "MADV_DONTNEED")):
        return lambda written: None
    since = [0]

    def forget(written: int) -> None:
        since[0] += written
        if since[0] > 16 * 2**20:
            since[0] = 0
            base.madvise(mmap.MADV_DONTNEED)

    return forget
