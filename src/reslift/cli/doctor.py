"""`reslift doctor`: it runs when other things do not, so it imports only the standard library.

Every package is imported in a process of its own: one that crashes the interpreter (a wheel for
another processor) is reported like one that is absent.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer

from reslift import __version__, machine
from reslift.errors import one_line
from reslift.words import counted

PROBE_SECONDS = 120
LARGEST_HEADER = 100_000_000
REQUIREMENT = re.compile(
    r"(?P<name>[\w.-]+)(?P<range>(?:\[[^\]]*\])?[^;]*)"
    r"(?:;.*extra\s*==\s*['\"](?P<extra>[^'\"]+)['\"])?"
)

CORE: dict[str, str] = {
    "torch": """
import torch
build = "CUDA " + torch.version.cuda if torch.version.cuda else "CPU"
if getattr(torch.version, "hip", None): build = "ROCm " + torch.version.hip
devices = ["cpu"]
if torch.cuda.is_available():
    devices += [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
if torch.backends.mps.is_available(): devices += ["mps"]
threads = torch.get_num_threads()
print(f"{torch.__version__}, {build} build, devices: {', '.join(devices)}; "
      f"{threads} thread{'s' * (threads != 1)}")
""",
    "numpy": "import numpy; print(numpy.__version__)",
    "pillow": """
import PIL
from PIL import features
have = [n for n in ("jpg", "zlib", "libtiff", "webp", "avif", "littlecms2") if features.check(n)]
print(f"{PIL.__version__}, with {', '.join(have)}")
""",
    "pyvips": """
import pyvips
wanted = {"png": "pngload", "jpeg": "jpegload", "webp": "webpload", "tiff": "tiffload"}
have = [n for n, loader in wanted.items() if pyvips.type_find("VipsOperation", loader)]
lack = [n for n in wanted if n not in have]
assert not lack, "no loader for " + ", ".join(lack)
version = ".".join(str(pyvips.version(i)) for i in range(3))
print(f"{pyvips.__version__}, libvips {version}, loads {', '.join(have)}")
""",
    "tifffile": "import tifffile; print(tifffile.__version__)",
    "safetensors": "import safetensors; print(safetensors.__version__)",
    "threadpoolctl": "import threadpoolctl; print(threadpoolctl.__version__)",
    "pydantic": "import pydantic; print(pydantic.VERSION)",
    "typer": "import typer; print(typer.__version__)",
    "rich": "import rich.progress; from importlib.metadata import version; print(version('rich'))",
}

BACKENDS: dict[str, str] = {
    "openvino": """
import onnx, openvino
can = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
precision = "bf16" if "BF16" in can else "fp32"
print(f"{openvino.__version__.split('-')[0]}, {precision} on this CPU")
""",
    "onnxruntime": """
import onnx, onnxruntime
print(f"{onnxruntime.__version__}, fp32")
""",
}


@dataclass(frozen=True)
class Finding:
    """One line of the report; `state` is ok, note, missing or broken."""

    group: str
    name: str
    state: str
    text: str
    cure: str = ""

    @property
    def fatal(self) -> bool:
        """Whether reslift cannot do its work because of this."""
        return self.group in ("core", "zoo") and self.state in ("missing", "broken")


def command(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> int:
    """Say what is installed, usable and missing, and how to get it.

    Exit code 0 if reslift can work here, 1 if a core package or a bundled model is broken.
    """
    findings = list(examine())
    usable = not any(finding.fatal for finding in findings)
    if as_json:
        print(json.dumps({"usable": usable, "findings": [asdict(f) for f in findings]}, indent=2))
        return 0 if usable else 1
    group = ""
    for finding in findings:
        if finding.group != group:
            group = finding.group
            print(group)
        print(f"  {finding.state:<8}{finding.name:<14}{finding.text}")
        if finding.cure:
            print(f"  {'':<22}get it: {finding.cure}")
    print("reslift can work here" if usable else "reslift cannot work here; see the lines above")
    return 0 if usable else 1


def examine() -> Iterator[Finding]:
    """All findings: the machine, the core packages, engines, extras, the bundled models."""
    probes = {name: _start(code) for name, code in CORE.items()}
    engines = {name: _start(code) for name, code in BACKENDS.items()}
    for name, text in machine.facts().items():
        yield Finding("machine", name, "ok", text)
    yield Finding("core", "reslift", "ok", __version__)
    wanted = requirements()
    core = [
        _core_finding(name, process, wanted.get(("", name), "")) for name, process in probes.items()
    ]
    yield from core
    torch = next((found.state for found in core if found.name == "torch"), "ok")
    yield from _backend_findings(engines, torch)
    yield from _extras(wanted)
    yield from _zoo()


def requirements() -> dict[tuple[str, str], str]:
    """{(extra or "", package): its extras and versions} as the installed reslift declares them.

    What is told to be installed needs both: `pyvips` without `[binary]` brings no libvips.
    """
    found = {}
    try:
        lines = metadata.requires("reslift") or []
    except metadata.PackageNotFoundError:
        lines = []
    for line in lines:
        match = REQUIREMENT.match(line)
        if match:
            name = match["name"].lower().replace("_", "-")
            found[match["extra"] or "", name] = match["range"].strip()
    return found


def within(version: str, wanted: str) -> bool:
    """Whether `version` satisfies every `>=` and `<` of `wanted`, like `"[binary]>=2.6,<2.14"`."""
    have = _numbers(version)
    for clause in filter(None, _versions(wanted).replace(" ", "").split(",")):
        if clause.startswith(">=") and have < _numbers(clause[2:]):
            return False
        if clause.startswith("<") and not clause.startswith("<=") and have >= _numbers(clause[1:]):
            return False
    return True


def check_checkpoint(path: Path) -> str:
    """What a safetensors file holds, from its header and size alone.

    Raises ValueError where the header cannot be read or the file is not as long as it says.
    """
    with path.open("rb") as handle:
        length = int.from_bytes(handle.read(8), "little")
        if not 2 <= length <= LARGEST_HEADER:
            raise ValueError("this is no safetensors file")
        header = json.loads(handle.read(length))
    tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
    end = max((entry["data_offsets"][1] for entry in tensors.values()), default=0)
    size = path.stat().st_size
    if size != 8 + length + end:
        raise ValueError(f"it has {size:,} bytes and its header says {8 + length + end:,}")
    if not header.get("__metadata__"):
        raise ValueError("its header has no card")
    return f"{counted(len(tensors), 'tensor')}, {size / 1e6:.1f} MB"


def _start(code: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )


def _core_finding(name: str, process: subprocess.Popen[str], wanted: str) -> Finding:
    cure = f'python -m pip install "{name}{wanted}"'
    state, text = _outcome(process)
    if state == "ok" and not within(text.split(",")[0], wanted):
        state, text = "broken", f"{text}; {_versions(wanted)} is needed"
    return Finding("core", name, state, text, cure if state != "ok" else "")


def _backend_findings(engines: dict[str, subprocess.Popen[str]], torch: str) -> Iterator[Finding]:
    """Every engine; the first that is there is what `--backend auto` takes on a CPU."""
    outcomes = {name: _outcome(process) for name, process in engines.items()}
    outcomes["torch"] = torch, "always there" if torch == "ok" else "see torch above"
    first = next((name for name, (state, _) in outcomes.items() if state == "ok"), "")
    for name, (state, text) in outcomes.items():
        taken = "; auto takes it on a CPU" if name == first else ""
        cure = "" if state == "ok" else f"python -m pip install onnx {name}"
        yield Finding("backends", name, state, text + taken, cure)


def _outcome(process: subprocess.Popen[str]) -> tuple[str, str]:
    """State of a package, and what its process printed or died of."""
    try:
        out, err = process.communicate(timeout=PROBE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return "broken", f"import took over {PROBE_SECONDS} s"
    if process.returncode == 0:
        return "ok", one_line(out)
    last = one_line(err.strip().rsplit("\n", 1)[-1])
    if process.returncode < 0:
        last = f"its import crashed the interpreter (signal {-process.returncode})"
    return "missing" if last.startswith("ModuleNotFoundError") else "broken", last


def _extras(wanted: dict[tuple[str, str], str]) -> Iterator[Finding]:
    for extra in dict.fromkeys(extra for extra, _ in wanted if extra):
        have: list[str] = []
        lack: list[str] = []
        for name, limits in ((n, r) for (e, n), r in wanted.items() if e == extra):
            version = _installed(name)
            if version and within(version, limits):
                have.append(f"{name} {version}")
            else:
                lack.append(f'"{name}{limits}"')
        text = "; ".join(
            f"{words} {', '.join(names)}"
            for words, names in (("installed", have), ("missing or too old", lack))
            if names
        ).replace('"', "")
        cure = f"python -m pip install {' '.join(lack)}" if lack else ""
        yield Finding("extras", extra, "missing" if lack else "ok", text, cure)


def _zoo() -> Iterator[Finding]:
    folder = Path(__file__).resolve().parents[1] / "zoo"
    files = sorted(folder.glob("*.safetensors"))
    cure = "install reslift again, from its repository or wheel"
    if not files:
        yield Finding("zoo", "models", "missing", f"no checkpoint in {one_line(folder)}", cure)
    for path in files:
        try:
            yield Finding("zoo", path.stem, "ok", check_checkpoint(path))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            yield Finding("zoo", path.stem, "broken", one_line(error), cure)


def _installed(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _versions(wanted: str) -> str:
    """The versions alone: "[binary]>=3" → ">=3"."""
    return wanted.rpartition("]")[2]


def _numbers(version: str) -> tuple[int, ...]:
    match = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, match[0].split("."))) if match else ()
