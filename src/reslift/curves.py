"""Training curves as one SVG picture: loss, and PSNR-Y beside the bicubic line."""

from __future__ import annotations

from typing import Any

WIDTH, HEIGHT, GAP = 360, 220, 48


def draw_curves(rows: list[dict[str, Any]], title: str) -> str:
    """Two panels, loss and validation PSNR-Y against steps, as SVG text."""
    steps = [float(row["step"]) for row in rows]
    loss = _panel(steps, {"train loss": [row["loss"] for row in rows]}, 0)
    psnr = {
        "model": [row["psnr_y"] for row in rows],
        "bicubic": [row["bicubic_psnr_y"] for row in rows],
    }
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{2 * (WIDTH + GAP) + 24}" '
        f'height="{HEIGHT + 72}" font-family="system-ui, sans-serif" font-size="11" fill="#444">'
        f'<rect width="100%" height="100%" fill="#fff"/>'
        f'<text x="{GAP}" y="20" font-size="14" fill="#111">{_escape(title)}</text>'
        f"{loss}{_panel(steps, psnr, WIDTH + GAP, 'PSNR-Y, dB, held-out pictures')}</svg>\n"
    )


COLOURS = ("#1f6feb", "#9a6700")


def _panel(steps: list[float], series: dict[str, list[float]], left: float, name: str = "") -> str:
    low = min(min(values) for values in series.values())
    high = max(max(values) for values in series.values())
    margin = (high - low or abs(high) or 1) * 0.06
    low, high = low - margin, high + margin
    last = steps[-1] or 1.0

    def place(step: float, value: float) -> str:
        x = left + GAP + WIDTH * step / last
        return f"{x:.1f},{44 + HEIGHT * (high - value) / (high - low):.1f}"

    parts = [_grid(left, low, high, last), _label(left, name or next(iter(series)))]
    for number, (label, values) in enumerate(series.items()):
        colour = COLOURS[number % len(COLOURS)]
        points = " ".join(map(place, steps, values))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
        for step, value in list(zip(steps, values))[-1:]:
            x, y = place(step, value).split(",")
            parts.append(f'<circle cx="{x}" cy="{y}" r="2.5" fill="{colour}"/>')
            text = f"{label} {value:.4g}"
            parts.append(f'<text x="{x}" y="{float(y) - 6}" text-anchor="end" fill="{colour}">{text}</text>')
    return "".join(parts)


def _label(left: float, text: str) -> str:
    return f'<text x="{left + GAP}" y="38">{_escape(text)}</text>'


def _grid(left: float, low: float, high: float, last: float) -> str:
    parts = []
    for tick in range(5):
        y = 44 + HEIGHT * tick / 4
        value = high - (high - low) * tick / 4
        x = left + GAP + WIDTH * tick / 4
        parts.append(
            f'<line x1="{left + GAP}" x2="{left + GAP + WIDTH}" y1="{y}" y2="{y}" stroke="#e3e3e3"/>'
            f'<text x="{left + GAP - 5}" y="{y + 4}" text-anchor="end">{value:.3g}</text>'
            f'<text x="{x}" y="{44 + HEIGHT + 16}" text-anchor="middle">{last * tick / 4:.3g}</text>'
        )
    return "".join(parts)


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
