"""Self-contained HTML reports: one file, no network, safe against what file names contain.

    html      tag, table, facts, section, page      text becomes markup, escaped
    pictures  encode, picture_row, error_colours    arrays become pictures with a slider viewer
    charts    line_chart, scatter_chart, histogram  numbers become inline SVG
    sprites   sprite_sheets                         thousands of pictures in few data URIs
    spreadsheet  as_csv                             rows become CSV

``page.css`` and ``page.js`` are written into every page, ``explorer.css`` and ``explorer.js``
(a map of points with a picture behind each) where a page asks for them.
"""

from __future__ import annotations

from reslift.report.charts import Series, as_file, histogram, line_chart, scatter_chart
from reslift.report.html import (
    Cell,
    Column,
    Html,
    data_block,
    escape,
    facts,
    join,
    page,
    section,
    table,
    tag,
)
from reslift.report.pareto import Choice, best_choices, pareto_chart
from reslift.report.pictures import (
    ERROR_TOP,
    Bytes,
    Picture,
    colour_scale,
    encode,
    error_colours,
    picture_row,
    thumbnail,
)
from reslift.report.spreadsheet import as_csv
from reslift.report.sprites import sprite_sheets, storage

__all__ = [
    "Choice",
    "ERROR_TOP",
    "Bytes",
    "Cell",
    "Column",
    "Html",
    "Picture",
    "Series",
    "as_csv",
    "as_file",
    "colour_scale",
    "data_block",
    "encode",
    "error_colours",
    "escape",
    "facts",
    "histogram",
    "join",
    "best_choices",
    "line_chart",
    "pareto_chart",
    "page",
    "picture_row",
    "scatter_chart",
    "section",
    "sprite_sheets",
    "storage",
    "table",
    "tag",
    "thumbnail",
]
