"""The Upscaler: read → planes → cells → model → whole numbers → write.

::

    file ── formats.read ──┐                                 ┌── formats.write ── file
    array, PIL, tensor ────┴─ planes ── stages (stitch …) ───┴── the same kind, dtype, layout
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import asdict
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from reslift import arrays, backends, checkpoint, media
from reslift.backends.ensemble import Ensemble
from reslift.checkpoint import DEFAULT_MODEL, Card
from reslift.dial import AnyImage, Dial
from reslift.errors import UsageError, one_line
from reslift.finish import Finish, Runs, Tally, is_faithful
from reslift.kinds import check_kinds
from reslift.limits import DEFAULT, Limits, parse_amount
from reslift.media import Wishes
from reslift.needs import Needs
from reslift.pixels.planes import Pixels, Planes
from reslift.pixels.shrink import check_kernel
from reslift.provenance import Record, sha256
from reslift.sizes import Size, first_scale, steps, wanted_size
from reslift.stages import Part, Stages
from reslift.stitch import Progress, Stitcher
from reslift.work import MediumWork, StillWork, Work, in_memory

if TYPE_CHECKING:
    from reslift.models import SRModel
    from reslift.uncertainty import Judge

DEFAULT_SCALE = 4
PLAIN = Wishes()


class Upscaler:
    """A model made ready for whole images of any size.

    Args:
        model: moved to `device`, in fp32; or a checkpoint file, which is then read by PyTorch only
            where the engine needs that.
        card: what its weights are.
        device: "auto" (CUDA, then MPS, then the CPU), "cpu", "cuda" or "mps".
        tile: LR pixels on a side that are held at once; changes memory, never the result.
        max_memory: bytes, or a text like "2G", that the process should stay under.
        limits: how large inputs and results may be.
        backend: an engine of ``BACKENDS``, or "auto".
        size: how large results are; None is the model's scale.
        ensemble: the mean of eight answers to flips and turns; eight times the time.
        wrap: the image goes on with its other side beyond each edge, as a seamless texture does.
        family: the checkpoint files of this model by scale, for sizes that need another or several.
        strength: 0 is bicubic, 1 the model; linear between.
        consistent: the result, shrunk by `kernel`, gives the image again, as near as rounding lets
            it. None is yes for models that were trained to be faithful to bicubic LR, at strength
            1, from and into files that keep every sample. Only where one model goes straight to
            the size.
        kernel: "bicubic" (within 1 level) or "box" (exactly).

    Raises:
        UsageError: a value, or an engine, that cannot be. DeviceError: no such device here.
    """

    def __init__(
        self,
        model: SRModel | Path,
        card: Card,
        *,
        device: str = "auto",
        tile: int | None = None,
        max_memory: int | str | None = None,
        limits: Limits = DEFAULT,
        backend: str = "torch",
        size: Size | None = None,
        ensemble: bool = False,
        wrap: bool = False,
        family: Mapping[int, Path] | None = None,
        strength: float = 1.0,
        consistent: bool | None = None,
        kernel: str = "bicubic",
    ) -> None:
        self._made_of = {name: value for name, value in locals().items() if name != "self"}
        self.strength, self.consistent = float(Finish(strength).strength), consistent
        self.kernel, self.runs = check_kernel(kernel), Runs()
        self._source, self.card, self.limits = model, card, limits
        memory = parse_amount(max_memory) if isinstance(max_memory, str) else max_memory
        if memory is not None and not memory >= 1:
            raise UsageError(f"max_memory {memory}: give a number of bytes from 1 up, or like 2G")
        self.max_memory, self.wrap = memory, wrap
        files: dict[int, SRModel | Path] = {**(family or {}), card.scale: model}

        def start(scale: int) -> Stitcher:
            engine = backends.start(files[scale], backend, str(device))
            return Stitcher(Ensemble(engine) if ensemble else engine, tile, memory)

        self.size = size or Size(scale=card.scale)
        self._stages = Stages(tuple(files), start)
        self._files, self._ensemble = files, ensemble
        self._stitcher = self._stages.stitcher(card.scale)
        self.scale = self.size.whole or card.scale

    def __reduce__(self) -> tuple[partial[Upscaler], tuple[()]]:
        """Copies and other processes get what it is made of, and start an engine of their own."""
        return partial(type(self), **self._made_of), ()

    @cached_property
    def model(self) -> SRModel:
        """The model itself, for what an engine cannot say; it may be loaded only now."""
        source = self._source
        return checkpoint.load(source)[0] if isinstance(source, Path) else source

    @property
    def backend(self) -> str:
        """The engine that runs the model."""
        return self._stitcher.backend.name

    @property
    def engine(self) -> str:
        """Where and how the model runs, where that is not PyTorch in fp32: "cpu, openvino bf16"."""
        backend = self._stitcher.backend
        plain = (backend.name, backend.precision) == ("torch", "fp32")
        return self.device if plain else f"{self.device}, {backend.name} {backend.precision}"

    @property
    def context(self) -> int:
        """Input pixels around a cell that its result depends on."""
        return self._stitcher.context

    @property
    def needs(self) -> Needs:
        """What its model asks of an image."""
        return self._stitcher.needs

    @property
    def device(self) -> str:
        """Where the model runs."""
        return self._stitcher.backend.device

    @cached_property
    def identity(self) -> str:
        """All that decides the values of a result, as a digest: weights, engine, size."""
        facts: tuple[object, ...] = (self.engine, self.size, self._ensemble, self.wrap)
        facts += (self.strength, self.consistent, self.kernel)
        digest = hashlib.sha256(repr(facts).encode())
        factor = self.size.scale  # which says what models of the family decide something
        for scale in sorted(steps(factor, self._stages.scales) if factor else self._files):
            digest.update(f"{scale}:{checkpoint.weights_digest(self._files[scale])}".encode())
        return digest.hexdigest()

    def __call__(self, image: AnyImage) -> AnyImage:
        """Upscale one image, or a batch of tensors, into a new one.

        Args:
            image: one of

                - NumPy (H, W) or (H, W, C), uint8, uint16 or float32 in [0, 1]; C = 1 gray,
                  2 gray + alpha, 3 RGB, 4 RGB + alpha, more: bands, each alone;
                - a PIL image of mode L, LA, RGB, RGBA, CMYK, I;16 (kept), or 1 and P (which become
                  L, RGB or RGBA); profile, EXIF and resolution go along;
                - a tensor (C, H, W) or (B, C, H, W), uint8 or float in [0, 1], C as above.

        Returns:
            The same kind, dtype, layout and device, as large as `size` says (each side `scale`
            times as long); floats are clipped to [0, 1].

        Raises:
            InputError: not such an image. LimitError: too large for `limits` or `max_memory`.
            DeviceError: out of memory. ResliftError: the model answers NaN.
        """
        pictures, pack = arrays.unpack(image)
        results = []
        for picture in pictures:
            out = np.empty(self.shape(picture.pixels, "the image"), picture.pixels.dtype)
            self.fill(picture, out, finish=self.finish(lossless=True))
            results.append(out)
        answer: AnyImage = pack(results)
        return answer

    def run(
        self, planes: Planes, out: Pixels, progress: Progress | None = None, *, exact: bool = False
    ) -> None:
        """Fill out (H', W', C) from planes (H, W, C); both may be windows on files.

        Only slices of `planes.pixels` are read and only slices of `out` are set, cell by cell, so
        anything with `shape`, `dtype` and two-dimensional slicing serves. The shapes say how large
        the result is to be; for (sH, sW, C) one model goes straight from one to the other. exact:
        every sample of `out` is kept as it is set. Raises as for calling.
        """
        finish = self.finish(lossless=exact)
        self._stages.run(planes, out, progress, part=Part(wrap=self.wrap), finish=finish)
        self.runs.add(finish.tally)

    @cached_property
    def judge(self) -> Judge:
        """What knows how far to trust each pixel (`reslift calibrate`).

        Raises UsageError where the model, or the strength, crop or size, was not calibrated.
        """
        from reslift.uncertainty import load_judge, not_calibrated

        source = self._files[self.card.scale]
        if self.strength != 1:
            raise UsageError("how far to trust pixels is known at strength 1: leave out --strength")
        if self.size.crop:
            raise UsageError("how far to trust pixels is known of whole pictures: leave out --crop")
        if self.size.whole != self.card.scale:
            raise UsageError(f"how far to trust pixels is known at ×{self.card.scale} only")
        found = load_judge(source) if isinstance(source, Path) else None
        if found is None:
            raise not_calibrated(source, self.card)
        return found

    def finish(self, *, lossless: bool) -> Finish:
        """How answers are finished where every sample of the result is kept, or is not."""
        by_default = lossless and self.strength == 1 and is_faithful(self.card.recipe)
        wanted = by_default if self.consistent is None else self.consistent
        return Finish(self.strength, self.kernel if wanted else None, Tally() if wanted else None)

    def record(
        self, source: Path, finish: Finish | None = None, ratios: Collection[float] = ()
    ) -> Record:
        """How the result for the file `source` is made; `finish` is what it was computed with.

        ratios: of its sides to those before, where models that are yet to run are to be named too.

        Raises InputError where the file cannot be read.
        """
        engine, finish = self._stitcher.backend, finish or self.finish(lossless=False)
        tally, chosen = finish.tally, asdict(self.size)
        error: dict[str, Any] = {}
        if finish.kernel and tally is not None and tally.count:
            error = {"largest": round(tally.largest, 3), "mean": round(tally.mean, 4)}
        return Record(
            sha256(source),
            self.card.name,
            {
                str(scale): checkpoint.weights_digest(self._files[scale])
                for scale in self._used(ratios)
            },
            engine.name,
            engine.precision,
            engine.device,
            {
                "size": {key: value for key, value in chosen.items() if value is not None},
                "strength": finish.strength,
                "kernel": finish.kernel,
                "consistent": self.consistent,
                "ensemble": self._ensemble,
                "wrap": self.wrap,
            },
            is_faithful(self.card.recipe),
            {"kernel": finish.kernel, **error} if error else {},
        )

    def _used(self, ratios: Collection[float]) -> list[int]:
        """Scales whose models make the result, where that is known before they are started too."""
        if ratios:
            scales = self._stages.scales
            return sorted({scale for ratio in ratios for scale in steps(ratio, scales)})
        whole = self.size.whole
        chain = steps(whole, self._stages.scales) if whole else ()
        return sorted({*self._stages.started, *chain})

    def dial(self, image: AnyImage) -> Dial[AnyImage]:
        """`image` at any strength, each of them without running the model again."""
        return Dial(self, image)

    def fill(
        self,
        image: Planes,
        out: Pixels,
        folder: Path | None = None,
        progress: Progress | None = None,
        finish: Finish | None = None,
    ) -> None:
        """Fill out, of the shape that `shape` gives, with what `size` asks of an image.

        `folder` takes what is too large for memory between two models; `finish` is as `finish`
        gives it, or plain. Raises as for calling.
        """
        height, width = image.pixels.shape[:2]
        box = self.size.box(width, height) if self.size.crop else None
        self._stages.run(
            image,
            out,
            progress,
            part=Part(box, self.wrap),
            folder=folder,
            in_memory=in_memory(self.max_memory),
            finish=finish or Finish(self.strength),
        )

    def upscale_file(
        self,
        source: str | Path,
        target: str | Path,
        wishes: Wishes = PLAIN,
        *,
        progress: Progress | None = None,
    ) -> tuple[str, ...]:
        """Upscale one file into another; folders on the way to it are made.

        Args:
            source: an image file, or one of `media.MEDIA`, known by its content.
            target: its suffix sets the format, unless `wishes.output_format` does.
            wishes: how the result is written, ``Wishes(quality=90, overwrite=True)``.
            progress: called with the output pixels that were just finished.

        Returns:
            Notes: one sentence for each thing that the formats could not keep.

        Raises as for calling. OutputError, OutputExists: target cannot be (UsageError: is source).
        """
        check_kinds(source=source, target=target)
        with self.work(Path(source), Path(target), wishes) as work:
            work.read()
            work.enlarge(progress)
            return work.write()

    def work(self, source: Path, target: Path, wishes: Wishes = PLAIN) -> Work:
        """What `upscale_file` does, in steps that the caller takes, for several files at a time."""
        medium = media.of(source)
        if medium is not None:
            return MediumWork(medium, self, source, target, wishes)
        return StillWork(self, source, target, wishes)

    def shape(self, pixels: Pixels, what: object) -> tuple[int, int, int]:
        """(H', W', C) of the result for pixels (H, W, C).

        Raises LimitError, which names `what`, where either is over the limits.
        """
        height, width, bands = pixels.shape
        self.limits.check("input_pixels", height * width, one_line(what))
        wide, high = self.size.of(width, height)
        self.limits.check("output_pixels", wide * high, f"{one_line(what)} enlarged")
        return high, wide, bands


def load(
    name_or_file: str | Path = DEFAULT_MODEL,
    scale: float | None = None,
    device: str = "auto",
    tile: int | None = None,
    max_memory: int | str | None = None,
    limits: Limits = DEFAULT,
    backend: str = backends.AUTO,
    *,
    size: Size | None = None,
    ensemble: bool = False,
    wrap: bool = False,
    strength: float = 1.0,
    consistent: bool | None = None,
    kernel: str = "bicubic",
) -> Upscaler:
    """An Upscaler from a bundled model, a checkpoint file or a run folder.

    Args:
        name_or_file: "lift-base", a name that `reslift models` lists, or a path.
        scale: any above 0, 1.7 or 8 too; None is 4, or what the name or file is for. Where the
            model has another, it runs at the next scale above, or several times, and the result is
            shrunk to fit.
        device, tile, max_memory, limits, backend, ensemble, wrap, strength, consistent, kernel: as
            for `Upscaler`.
        size: in place of `scale`: sides, a long side, megapixels, a crop.

    Raises:
        UnknownName, CheckpointError: no such model, a damaged one. UsageError: a wrong value.
    """
    check_kinds(model=name_or_file, scale=scale, tile=tile, size=size, limits=limits)
    check_kinds(strength=strength, consistent=consistent, ensemble=ensemble, wrap=wrap)
    check_kinds(backend=backend, kernel=kernel, max_memory=max_memory)
    family = checkpoint.family(name_or_file)
    size = wanted_size(family, scale, size)
    path = family[first_scale(family, size)]
    return Upscaler(
        path,
        checkpoint.read_card(path),
        device=device,
        tile=tile,
        max_memory=max_memory,
        limits=limits,
        backend=backend,
        size=size,
        ensemble=ensemble,
        wrap=wrap,
        family=family,
        strength=strength,
        consistent=consistent,
        kernel=kernel,
    )
