"""Make `.venv` from nothing but Python, then do a job in it; `make` calls this, Windows can too.

python scripts/setup_env.py demo [PICTURE]   upscale a picture four times
python scripts/setup_env.py test [ARGUMENT…] run the tests
python scripts/setup_env.py check            lint and types

uv does the installing if it can be had, else pip. Where pip is told to look for packages
(find-links, index-url), uv looks too. On Linux without an NVIDIA driver the CPU build of torch is
taken.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
CONSTRAINTS = ROOT / "constraints.txt"
OLDEST = (3, 11)
NEWER_NAMES = ("python3.13", "python3.12", "python3.11")
EXTRAS = {"demo": "", "test": "[dev,track]", "check": "[dev,track]"}
PICTURE = ROOT / "docs" / "pictures" / "citrus-fruits.png"
TORCH = "torch>=2.6,<2.14"
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
MOST_WORKERS = 8


def main() -> int:
    words = sys.argv[1:]
    if not words or words[0] not in EXTRAS:
        print(__doc__)
        return 2
    job, rest = words[0], words[1:]
    try:
        prepare(EXTRAS[job])
        return {"demo": demo, "test": test, "check": check}[job](rest)
    except KeyboardInterrupt:
        return 130


def demo(rest: list[str]) -> int:
    picture = Path(rest[0]).resolve() if rest and rest[0] else PICTURE
    result = ROOT / "demo-out" / f"{picture.stem}-x4{picture.suffix}"
    result.parent.mkdir(exist_ok=True)
    code = run([PYTHON, "-m", "reslift", "upscale", picture, "-o", result, "--overwrite"])
    if code == 0:
        print(f"\nthe picture:  {picture}\nfour times larger:  {result}")
        print(f"now your own: {BIN / 'reslift'} upscale PHOTO.jpg")
    return code


def test(rest: list[str]) -> int:
    workers = min(os.cpu_count() or 1, MOST_WORKERS)
    return run(
        [PYTHON, "-m", "pytest", "-n", str(workers), "--dist", "worksteal", *rest],
        OMP_NUM_THREADS="1",
    )


def check(rest: list[str]) -> int:
    commands = [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["mypy"],
    ]
    return max(run([PYTHON, "-m", *command]) for command in commands)


def prepare(extras: str) -> None:
    """Make `.venv` and install reslift with `extras` in it, unless that was done already."""
    mark = VENV / f".ready{extras.replace('[', '-').replace(']', '').replace(',', '-')}"
    wanted = hashlib.sha256(
        b"".join((ROOT / name).read_bytes() for name in ("pyproject.toml", "constraints.txt"))
    ).hexdigest()
    if PYTHON.exists() and mark.exists() and mark.read_text() == wanted:
        return
    if not PYTHON.exists():
        say("making .venv")
        make_venv()
    settings = pip_settings()
    environment = uv_environment(settings)
    uv = find_uv()
    say(f"installing with {'uv' if uv else 'pip'}; the first time takes a few minutes")
    if wants_cpu_torch(settings):
        install(uv, environment, [TORCH], ["--no-deps", "--index-url", TORCH_CPU_INDEX])
    if not install(uv, environment, ["-e", f".{extras}"], []):
        stop("the installation failed; the lines above say why")
    mark.write_text(wanted)


def make_venv() -> None:
    python = newest_python()
    if run([python, "-m", "venv", VENV]) == 0:
        return
    shutil.rmtree(VENV, ignore_errors=True)
    uv = shutil.which("uv")
    if uv is None or run([uv, "venv", "--seed", "--python", python, VENV]) != 0:
        stop("this Python cannot make a virtual environment; on Debian: apt install python3-venv")


def newest_python() -> str:
    if sys.version_info >= OLDEST:
        return sys.executable
    for name in NEWER_NAMES:
        found = shutil.which(name)
        if found and run([found, "-c", ""]) == 0:
            return found
    stop(f"Python {platform.python_version()} is too old; reslift needs 3.11 or newer")
    return ""


def find_uv() -> str:
    """A uv to install with, got through pip where there is none; "" if it cannot be had."""
    inside = BIN / ("uv.exe" if os.name == "nt" else "uv")
    found = shutil.which("uv")
    if found is None and not inside.exists():
        command = [PYTHON, "-m", "pip", "install", "-q", "--disable-pip-version-check", "uv"]
        subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, check=False)
    return found or (str(inside) if inside.exists() else "")


def install(uv: str, environment: dict[str, str], what: list[str], options: list[str]) -> bool:
    """Install `what` under the constraints with uv, and with pip where uv fails or is absent."""
    common = ["-c", str(CONSTRAINTS), *options, *what]
    if uv:
        if run([uv, "pip", "install", "--python", str(PYTHON), *common], **environment) == 0:
            return True
        say("uv did not manage; trying pip")
    pip = [PYTHON, "-m", "pip", "install", "--disable-pip-version-check", "--retries", "2"]
    return run([*pip, *common]) == 0


def pip_settings() -> dict[str, list[str]]:
    """What pip is configured with, environment and files alike: {"find-links": [place, …], …}."""
    done = subprocess.run(
        [str(PYTHON), "-m", "pip", "config", "list"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    found: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        key, _, value = line.partition("=")
        name = key.rsplit(".", 1)[-1]
        with contextlib.suppress(ValueError, SyntaxError):
            places = found.setdefault(name, [])
            places += [place for place in ast.literal_eval(value).split() if place not in places]
    return found


def uv_environment(settings: dict[str, list[str]]) -> dict[str, str]:
    """pip's places as the variables that uv reads; what is set already stays."""
    wanted = {
        "UV_FIND_LINKS": ",".join(settings.get("find-links", [])),
        "UV_DEFAULT_INDEX": " ".join(settings.get("index-url", [])[-1:]),
    }
    return {key: value for key, value in wanted.items() if value and key not in os.environ}


def wants_cpu_torch(settings: dict[str, list[str]]) -> bool:
    """Whether torch must be asked for at its CPU index, because PyPI's brings CUDA for nothing."""
    if platform.system() != "Linux" or settings.get("index-url"):
        return False
    if shutil.which("nvidia-smi") or Path("/proc/driver/nvidia").exists():
        return False
    if any(any(Path(place).glob("torch-*.whl")) for place in settings.get("find-links", [])):
        return False
    command = [str(PYTHON), "-c", "import torch"]
    return subprocess.run(command, capture_output=True, check=False).returncode != 0


def run(command: list[object], **environment: str) -> int:
    code = subprocess.run(
        list(map(str, command)), cwd=ROOT, env={**os.environ, **environment}, check=False
    ).returncode
    return code if code >= 0 else 128 - code


def say(text: str) -> None:
    print(f"-- {text}", flush=True)


def stop(text: str) -> None:
    sys.exit(f"-- {text}")


if __name__ == "__main__":
    sys.exit(main())
