"""What is in the wheel and the sdist, and that the wheel works without the checkout."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCALES = (2, 3, 4)
MOST_WEIGHTS = 25_000_000

pytest.importorskip("build")
pytest.importorskip("hatchling")


def build(kind: str, folder: Path) -> Path:
    words = [sys.executable, "-m", "build", kind, "--no-isolation", "--outdir", str(folder), ROOT]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (made,) = folder.iterdir()
    return made


def test_wheel(tmp_path):
    wheel = build("--wheel", tmp_path / "dist")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        sizes = {info.filename: info.file_size for info in archive.infolist()}
        archive.extractall(tmp_path / "site")
    sources = {
        str(path.relative_to(ROOT / "src").as_posix())
        for path in (ROOT / "src" / "reslift").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    recipes = {f"reslift/recipes/{path.name}" for path in (ROOT / "recipes").glob("*.toml")}
    weights = {f"reslift/zoo/lift-base-x{scale}.safetensors" for scale in SCALES}
    assert recipes
    assert sources <= names
    assert recipes <= names
    assert weights <= names
    assert sum(sizes[name] for name in names if name.endswith(".safetensors")) < MOST_WEIGHTS
    assert any(name.endswith("licenses/LICENSE") for name in names)
    foreign = {name for name in names if not name.startswith(("reslift/", "reslift-"))}
    assert not foreign, "nothing beside the package: no tests, no docs"
    assert not [name for name in names if "test" in name.lower()]
    used_alone(tmp_path / "site", tmp_path)


def used_alone(site: Path, folder: Path) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(site)!r})\n"
        "import reslift; from reslift.cli import main; from reslift.files import recipes_folder\n"
        "print(reslift.__file__); print(recipes_folder())\n"
        "sys.exit(main(['models']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    package, recipes, *table = done.stdout.splitlines()
    assert Path(package).is_relative_to(site)
    assert Path(recipes).is_relative_to(site)
    assert all(any(f"lift-base-x{scale}" in line for line in table) for scale in SCALES)


def test_sdist(tmp_path):
    with tarfile.open(build("--sdist", tmp_path)) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    wanted = {"pyproject.toml", "README.md", "LICENSE", "constraints.txt", "Makefile"}
    assert wanted <= names
    assert "tests/test_wheel.py" in names
    allowed = ("src/", "recipes/", "tests/", "docs/", "benchmarks/", "scripts/")
    strange = {name for name in names if "/" in name and not name.startswith(allowed)}
    assert not strange
    assert not [name for name in names if ".venv" in name or "__pycache__" in name]
