"""The mean of two checkpoints of one shape, as a checkpoint with the card of the second.

    python benchmarks/mix.py FIRST SECOND SHARE OUT

SHARE is what the second counts for, 0 to 1. Both should come from one start, so that they lie near
each other: the mean of strangers is neither.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from reslift import checkpoint


def main() -> None:
    """Read both, mix, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("first")
    parser.add_argument("second")
    parser.add_argument("share", type=float)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    first, (model, card) = checkpoint.load(given.first)[0], checkpoint.load(given.second)
    own = first.state_dict()
    mixed = {name: own[name].lerp(value, given.share) for name, value in model.state_dict().items()}
    model.load_state_dict(mixed)
    note = f"mixed with {Path(given.first).name}, {1 - given.share:g} : {given.share:g}"
    # The scores are those of the second alone.
    card = card.model_copy(update={"notes": (*card.notes, note), "scores": {}})
    checkpoint.save(given.out, model, card)


if __name__ == "__main__":
    main()
