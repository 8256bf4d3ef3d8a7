"""Put a run's best weights into the zoo, with the scores of the benchmark sets in the card.

    python benchmarks/zoo.py RUN DATA/bench [--data TEXT] [--note TEXT]…
    python benchmarks/zoo.py --table

The weights are stored as 16-bit floats; the scores are those of the stored file in fp32 (ONNX
Runtime), whatever arithmetic this machine has. ``--table`` writes the scores of all bundled models
into the README.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from reslift import checkpoint
from reslift.checkpoint import Card, read_card
from reslift.datasets.pairs import find_test_set
from reslift.evaluate import evaluate, load_models
from reslift.uncertainty import attach, load_judge

SETS = ("Set5", "Set14", "BSD100")
README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- scores: begin -->", "<!-- scores: end -->"


def measure(path: Path, scale: int, root: Path) -> dict[str, dict[str, float]]:
    """PSNR-Y and SSIM-Y of a checkpoint and of bicubic on each benchmark set."""
    models, _ = load_models([path], scale, "cpu", backend="onnxruntime")
    sets = [find_test_set(root / name, scale) for name in SETS]
    scores: dict[str, dict[str, float]] = {}
    for row in evaluate(models, sets, scale=scale).summaries():
        prefix = "bicubic_" if row.contender.name == "bicubic" else ""
        entry = scores.setdefault(row.dataset, {})
        for metric in ("psnr_y", "ssim_y"):
            entry[prefix + metric] = round(row.means[metric], 4)
    return scores


def add(run: Path, root: Path, data: str, notes: list[str]) -> Path:
    """Write ``zoo/NAME.safetensors`` from a run folder or checkpoint; gives its path."""
    model, card = checkpoint.load(run)
    judge = load_judge(checkpoint.resolve(run))
    checkpoint.ZOO.mkdir(exist_ok=True)
    target = checkpoint.ZOO / f"{card.name}{checkpoint.SUFFIX}"
    kept = {key: value for key, value in card.scores.items() if key == "validation"}
    fields = {**card.model_dump(), "notes": (*card.notes, *notes), "scores": kept}
    fields["uncertainty"] = {}
    if "init" in card.recipe:
        start = read_card(checkpoint.resolve(card.recipe["init"], card.scale)).name
        fields["recipe"] = {**card.recipe, "init": start}
    if data:
        fields["data"] = data
    fields["licence"] = "MIT"
    checkpoint.save(target, model, Card(**fields), half=True)
    fields["scores"] = {**kept, **measure(target, card.scale, root)}
    checkpoint.save(target, model, Card(**fields), half=True)
    if judge is not None:
        attach(target, judge, target, overwrite=True)
    return target


def table() -> str:
    """The scores of the bundled models beside bicubic, as a Markdown table."""
    lines = [
        "| model | scale | parameters | " + " | ".join(f"{s}, bicubic" for s in SETS) + " |",
        "|---|---|---|" + "---|" * len(SETS),
    ]
    for name, path in checkpoint.zoo().items():
        card = read_card(path)
        cells = []
        for test_set in SETS:
            score = card.scores[test_set]
            ours = f"**{score['psnr_y']:.2f}** / {score['ssim_y']:.4f}"
            cells.append(f"{ours}, {score['bicubic_psnr_y']:.2f} / {score['bicubic_ssim_y']:.4f}")
        row = [f"`{name}`", f"×{card.scale}", f"{card.parameters:,}", *cells]
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines)


def main() -> None:
    """Parse, add or write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, nargs="?")
    parser.add_argument("bench", type=Path, nargs="?")
    parser.add_argument("--data", default="", help="what the weights saw, for the card")
    parser.add_argument("--note", action="append", default=[])
    parser.add_argument("--table", action="store_true")
    given = parser.parse_args()
    if given.run and given.bench:
        path = add(given.run, given.bench, given.data, given.note)
        for name, scores in read_card(path).scores.items():
            print(f"{path.stem}  {name:10}", *(f"{k} {v:.4f}" for k, v in scores.items()))
    if given.table:
        text = README.read_text(encoding="utf-8")
        before, rest = text.split(BEGIN)
        after = rest.split(END)[1]
        README.write_text(f"{before}{BEGIN}\n{table()}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
