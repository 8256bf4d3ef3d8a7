"""Where a picture lies on a map, as files beside it say, brought over to its result.

source ── world file, NAME.aux.xml ──► Place ── sides, crop ──► the same files beside the result
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element

from reslift.errors import one_line
from reslift.formats import aside, world
from reslift.sizes import Size

TURNED = "{} says where the picture lies before it is turned upright, and is left"
UNREAD = "{} is not read: copy it beside the result"
CROPPED = "its world file is left: a crop at this size is not on whole pixels"


@dataclass(frozen=True)
class Place:
    """What stands beside a picture: the numbers of a world file, the parts of GDAL's side file.

    lost: a sentence on a side file that cannot be brought over.
    """

    numbers: world.Numbers | None = None
    parts: Element | None = None
    lost: tuple[str, ...] = ()

    def check(self, target: Path, *, overwrite: bool) -> None:
        """Raise OutputExists where a file beside `target` may not be written."""
        if self.numbers is not None:
            world.target(target, overwrite=overwrite)
        if self.parts is not None:
            aside.target(target, overwrite=overwrite)

    def write(
        self,
        target: Path,
        size: Size,
        given: tuple[int, int],
        wanted: tuple[int, int],
        *,
        overwrite: bool,
    ) -> tuple[str, ...]:
        """Write the files beside `target`; gives sentences on them.

        given, wanted: width and height of the whole source and of the result.
        """
        if self.numbers is None and self.parts is None:
            return self.lost
        corner = (0, 0)
        if size.crop:
            if not float(size.scale or 0.5).is_integer():
                return (CROPPED, *self.lost)
            box = size.box(*given)
            corner, given = (box.left, box.top), (box.width, box.height)
        made = []
        if self.numbers is not None:
            made.append(world.target(target, overwrite=overwrite))
            numbers = world.scaled(self.numbers, given, wanted, corner)
            world.write(made[-1], numbers, overwrite=overwrite)
        if self.parts is not None:
            made.append(aside.target(target, overwrite=overwrite))
            parts = aside.scaled(self.parts, given, wanted, corner)
            aside.write(made[-1], parts, overwrite=overwrite)
        told = (f"its place on a map is in {one_line(side.name)}" for side in made)
        return (*told, *self.lost)


def of(path: Path, *, turned: bool) -> Place:
    """What the files beside the picture at `path` say of its place.

    turned: the picture does not lie upright in its file; the files beside count pixels as they lie.
    """
    parts = aside.read(path)
    lost: tuple[str, ...] = ()
    if turned:
        left, _ = files(path, path, turned=False)
        return Place(lost=tuple(TURNED.format(one_line(side.name)) for side in left))
    if parts is None and world.is_told_aside(path):
        lost = (f"the georeference in {one_line(aside.side_of(path).name)} cannot be read",)
    numbers, crs = world.read(path), path.with_suffix(".prj")
    if numbers is not None and crs.is_file():
        lost = (*lost, UNREAD.format(one_line(crs.name)))
    return Place(numbers, parts, lost)


def files(source: Path, target: Path, *, turned: bool) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Files beside the picture `source` that say where it lies, and those beside its result.

    turned: as for `of`.
    """
    before: tuple[Path, ...] = ()
    after: tuple[Path, ...] = ()
    if turned:
        return before, after
    if found := world.beside(source):
        before, after = (found[0],), (world.names(target)[0],)
    if aside.read(source) is not None:
        before, after = (*before, aside.side_of(source)), (*after, aside.side_of(target))
    return before, after
