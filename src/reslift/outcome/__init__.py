"""What a training came to: its report, in words, numbers and pictures.

measure   the best weights on the held-out pictures, beside bicubic
page      report.html: verdict, warnings, table, curves, pictures, data, recipe
record    report.json: the same for programs
reporter  writes both: at the start, after each validation, and whole at the end
"""

from __future__ import annotations

from reslift.outcome.measure import Findings
from reslift.outcome.record import Outcome, sentence
from reslift.outcome.reporter import Reporter, judge_run

__all__ = ["Findings", "Outcome", "Reporter", "judge_run", "sentence"]
