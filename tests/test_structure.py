"""The shape of the code: layers, indexes, sizes, and what `--help` imports."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import reslift
from reslift.cli import COMMANDS

SOURCE = Path(reslift.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))

LAYERS = {
    "faces": {"cli", "web", "__main__"},
    "verbs": {
        "outcome",
        "plan",
        "train",
        "parallel",
        "evaluate",
        "latent",
        "upscale",
        "work",
        "compare",
        "batch",
        "sample",
        "calibrate",
        "datacheck",
        "export",
        "verify",
        "dial",
        "replay",
        "audit",
        "audit_page",
    },
    "parts": {
        *("models", "degradations", "formats", "datasets", "backends", "losses", "metrics"),
        *(
            "checkpoint",
            "report",
            "arrays",
            "stitch",
            "pieces",
            "stages",
            "finish",
            "provenance",
            "inputs",
            "media",
        ),
        *("features", "adversary", "objective", "uncertainty", "likeness", "faces"),
        *("run", "start", "stepper", "teacher", "symmetry", "optimisers", "validation"),
        *("watcher", "advice"),
    },
    "ground": {
        "pixels",
        "files",
        "limits",
        "machine",
        "recipe",
        "recipe_errors",
        "errors",
        "canvas",
        "interrupts",
        "needs",
        "sizes",
        "kinds",
        "words",
    },
}
HEIGHT = {name: -depth for depth, names in enumerate(LAYERS.values()) for name in names}

INDEXES = {
    "cli": "COMMANDS",
    "models": "MODELS",
    "degradations": "DEGRADATIONS",
    "formats": "FORMATS",
    "media": "MEDIA",
    "datasets": "DATASETS",
    "features": "FEATURES",
    "backends": "BACKENDS",
}


def module_name(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in FILES}


def imported(tree: ast.AST) -> Iterator[str]:
    """Modules of reslift that a file imports, anywhere in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else str(node.module)


def own_imports(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {name for name in imported(tree) if name.split(".")[0] == "reslift"}


def part(module: str) -> str:
    return module.split(".")[1]


def test_every_module_has_a_layer():
    assert {part(name) for name in MODULES if name != "reslift"} <= HEIGHT.keys()


@pytest.mark.parametrize("module", sorted(set(MODULES) - {"reslift"}))
def test_imports_only_go_down(module):
    for other in own_imports(MODULES[module]) - {"reslift"}:
        assert HEIGHT[part(other)] <= HEIGHT[part(module)], f"{module} imports {other}"


def test_imports_have_no_circle():
    graph = {name: own_imports(path) - {"reslift", name} for name, path in MODULES.items()}
    del graph["reslift"]
    while graph:
        free = [name for name, others in graph.items() if not others & graph.keys()]
        assert free, f"these import each other in a circle: {sorted(graph)}"
        for name in free:
            del graph[name]


@pytest.mark.parametrize(("family", "index"), INDEXES.items())
def test_index_is_written_out(family, index):
    tree = ast.parse((SOURCE / family / "__init__.py").read_text(encoding="utf-8"))
    values = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name) and target.id == index
    ]
    assert len(values) == 1, f"{family}/__init__.py assigns {index} once"
    assert isinstance(values[0], ast.Dict), f"{index} is a dictionary, written out"
    assert values[0].keys, f"{index} is empty"
    assert all(isinstance(key, ast.Constant) for key in values[0].keys)


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_file_follows_the_rules(path):
    text = path.read_text(encoding="utf-8")
    assert path.name != "utils.py"
    assert len(text.splitlines()) <= 400
    for scan in ("pkgutil", "iter_modules", "__subclasses__", "walk_packages"):
        assert scan not in text, f"{scan}: members are named in an index"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            length = (node.end_lineno or 0) - node.body[0].lineno + 1
            assert length <= 60, f"the body of {node.name} has {length} lines"


def loaded_by(arguments: list[str]) -> set[str]:
    code = (
        "import sys; from reslift.cli import main\n"
        f"try: main({arguments!r})\n"
        "finally: print('\\nLOADED', *sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.rsplit("LOADED", 1)[1].split())


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["limits"], ["models", "--help"]])
def test_light_commands_import_nothing_heavy(arguments):
    loaded = loaded_by(arguments)
    assert "reslift.cli" in loaded
    assert not loaded & {"torch", "numpy", "PIL", "pyvips", "matplotlib", "safetensors"}


def test_help_does_not_even_import_the_commands():
    loaded = loaded_by(["--help"])
    assert not loaded & {"typer", "rich", "pydantic"}
    assert not {name for name in loaded if name.startswith("reslift.cli.")}


@pytest.mark.parametrize("name", COMMANDS)
def test_command_help_imports_no_torch(name):
    assert not loaded_by([name, "--help"]) & {"torch", "numpy"}
