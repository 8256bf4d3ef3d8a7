"""Judging models on test sets, bicubic beside them.

measure  evaluate(): models × sets → a row an image      results  means, gains, intervals
gallery  the pictures of the page, worst first           page     the HTML page
save     results.json, results.csv, report.html
"""

from __future__ import annotations

from reslift.evaluate.gallery import Gallery
from reslift.evaluate.measure import evaluate, load_models, preparation, protocol
from reslift.evaluate.results import BASELINE, Contender, Evaluation, ImageRow, Summary, bootstrap
from reslift.evaluate.save import prepare, save

__all__ = [
    "BASELINE",
    "Contender",
    "Evaluation",
    "Gallery",
    "ImageRow",
    "Summary",
    "bootstrap",
    "evaluate",
    "load_models",
    "preparation",
    "prepare",
    "protocol",
    "save",
]
