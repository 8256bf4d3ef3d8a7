"""Self-contained HTML reports: one file, no network, safe against what file names contain.

    html      tag, table, facts, section, page      text becomes markup, escaped
    pictures  encode, picture_row, error_colours    arrays become pictures with a slider viewer
    charts    line_chart, scatter_chart, histogram  numbers become inline SVG

``page.css`` and ``page.js`` are written into every page.
"""

from __future__ import annotations

from reslift.report.charts import Series, as_file, histogram, line_chart, scatter_chart
from reslift.report.html import Cell, Column, Html, escape, facts, join, page, section, table, tag
from reslift.report.pictures import (
    ERROR_TOP,
    Picture,
    colour_scale,
    encode,
    error_colours,
    picture_row,
    thumbnail,
)

__all__ = [
    "ERROR_TOP",
    "Cell",
    "Column",
    "Html",
    "Picture",
    "Series",
    "as_file",
    "colour_scale",
    "encode",
    "error_colours",
    "escape",
    "facts",
    "histogram",
    "join",
    "line_chart",
    "page",
    "picture_row",
    "scatter_chart",
    "section",
    "table",
    "tag",
    "thumbnail",
]
