"""Getting the original data sets: download, compare the checksum, unpack, rename.

::

    url ── archive (kept, so that nothing is fetched twice) ── checksum ── hidden folder ── folder

An archive that already lies in the target folder is taken instead of the network, once its checksum
has been compared: where there is no network, it can be brought by hand.
"""

from __future__ import annotations

import hashlib
import shutil
import tarfile
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path, PurePosixPath

from reslift.errors import InputError, OutputError, ResliftError, VerificationError, one_line
from reslift.files import atomic_write

BLOCK = 2**20
TIMEOUT = 30
Progress = Callable[[int, int], None]
"""Called with the bytes that are there and the bytes there will be."""


@dataclass(frozen=True)
class Archive:
    """A file to download.

    Attributes:
        url: where it is; its last part is the file's name.
        checksum: ``md5:…`` or ``sha256:…`` as its publisher or a widely used library states it.
        size: bytes, about.
        folder: what it unpacks to.
    """

    url: str
    checksum: str
    size: int
    folder: str
    name: str


@dataclass(frozen=True)
class Source:
    """A data set: its archives, terms, and where to read about it."""

    archives: tuple[Archive, ...]
    terms: str
    home: str


_DIV2K = "https://data.vision.ee.ethz.ch/cvl/DIV2K/"
SOURCES: dict[str, Source] = {
    "cifar10": Source(
        (
            Archive(
                "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
                "md5:c32a1d4ab5d03f1284b67883e8d87530",
                170_052_171,
                "cifar-10-batches-bin",
                "cifar-10-binary.tar.gz",
            ),
        ),
        "research; no licence stated",
        "https://www.cs.toronto.edu/~kriz/cifar.html",
    ),
    "lfw": Source(
        (
            Archive(
                "https://ndownloader.figshare.com/files/5976018",
                "sha256:055f7d9c632d7370e6fb4afc7468d40f970c34a80d4c6f50ffec63f5a8d536c0",
                180_566_744,
                "lfw",
                "lfw.tgz",
            ),
        ),
        "research",
        "http://vis-www.cs.umass.edu/lfw/",
    ),
    "div2k": Source(
        (
            Archive(
                _DIV2K + "DIV2K_train_HR.zip",
                "md5:bdc2d9338d4e574fe81bf7d158758658",
                3_530_603_713,
                "DIV2K_train_HR",
                "DIV2K_train_HR.zip",
            ),
            Archive(
                _DIV2K + "DIV2K_valid_HR.zip",
                "md5:9fcdda83005c5e5997799b69f955ff88",
                448_993_893,
                "DIV2K_valid_HR",
                "DIV2K_valid_HR.zip",
            ),
        ),
        "academic research only",
        "https://data.vision.ee.ethz.ch/cvl/DIV2K/",
    ),
}


def get(source: Source, out: Path, progress: Progress | None = None) -> list[Path]:
    """Download and unpack a data set; what is already unpacked stays as it is.

    Args:
        source: entry of ``SOURCES``.
        out: folder that receives archives and folders; made if absent.
        progress: told of the bytes of each archive.

    Returns:
        The unpacked folders.

    Raises:
        ResliftError: no network, or the server does not answer; says what to bring where by hand.
        VerificationError: an archive is not the one that is wanted.
        InputError: an archive holds links or paths that leave its folder.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make {one_line(out)}: {one_line(error.strerror)}") from error
    return [_get(archive, out, progress) for archive in source.archives]


def _get(archive: Archive, out: Path, progress: Progress | None) -> Path:
    folder, file = out / archive.folder, out / archive.name
    if folder.is_dir():
        return folder
    if not file.is_file():
        _download(archive, file, progress)
    _verify(archive, file)
    _unpack(file, folder)
    return folder


def _download(archive: Archive, file: Path, progress: Progress | None) -> None:
    request = urllib.request.Request(archive.url, headers={"User-Agent": "reslift"})
    try:
        with (
            urllib.request.urlopen(request, timeout=TIMEOUT) as answer,
            atomic_write(file) as temporary,
            temporary.open("wb") as sink,
        ):
            told = int(answer.headers.get("Content-Length") or 0)
            done = 0
            while block := answer.read(BLOCK):
                sink.write(block)
                done += len(block)
                if progress is not None:
                    progress(done, told or archive.size)
            if done < told:
                raise TimeoutError(f"the connection broke off after {done} of {told} bytes")
    except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", None) or error
        raise ResliftError(
            f"cannot download {archive.url}: {one_line(reason)}; where there is no network, bring "
            f"that file by hand as {one_line(file)} and run the command again"
        ) from error


def _verify(archive: Archive, file: Path) -> None:
    kind, _, wanted = archive.checksum.partition(":")
    digest = hashlib.new(kind, usedforsecurity=False)
    try:
        with file.open("rb") as stream:
            while block := stream.read(BLOCK):
                digest.update(block)
    except OSError as error:
        raise InputError(f"{one_line(file)}: {one_line(error.strerror)}") from error
    if digest.hexdigest() != wanted:
        raise VerificationError(
            f"{one_line(file)}: {kind} is {digest.hexdigest()}, wanted {wanted}: damaged, or "
            f"another file; delete it and run the command again"
        )


def _unpack(file: Path, folder: Path) -> None:
    """Unpack beside ``folder`` under a hidden name, then rename: the folder is whole or absent."""
    hidden = Path(tempfile.mkdtemp(prefix=".reslift-", dir=folder.parent))
    try:
        if file.suffix == ".zip":
            _unzip(file, hidden)
        else:
            with tarfile.open(file) as tape:
                tape.extractall(hidden, filter="data")
        inner = hidden / folder.name
        if not inner.is_dir():
            raise InputError(f"{one_line(file)}: holds no folder {folder.name}")
        inner.rename(folder)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        raise InputError(f"{one_line(file)}: cannot be unpacked: {one_line(error)}") from error
    except OSError as error:
        raise OutputError(f"cannot unpack to {one_line(folder)}: {one_line(error)}") from error
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def _unzip(file: Path, target: Path) -> None:
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            path = PurePosixPath(member.filename)
            if path.is_absolute() or ".." in path.parts:
                raise InputError(f"{one_line(file)}: {one_line(member.filename)} leaves the folder")
        archive.extractall(target)
