"""Bars of several parts, drawn as SVG."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

COLORS: Final = ("#4477aa", "#66ccee", "#ee6677", "#228833", "#ccbb44")
WIDTH: Final = 860
LABELS: Final = 210
ROW: Final = 30
TOP: Final = 70


@dataclass(frozen=True, slots=True)
class Part:
    name: str
    value: float


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of parts; all bars of a chart have the same ones, in the same order."""

    name: str
    parts: tuple[Part, ...]

    @property
    def value(self) -> float:
        return sum(part.value for part in self.parts)


def chart(title: str, bars: Sequence[Bar]) -> str:
    """The bars below each other, with a legend of their parts and their sums at their ends."""
    height = TOP + ROW * len(bars) + 10
    scale = (WIDTH - LABELS - 80) / max(bar.value for bar in bars)
    drawn = [_text(10, 24, title, weight="bold"), *_legend(bars[0].parts)]
    for number, bar in enumerate(bars):
        drawn += _bar(bar, TOP + ROW * number, scale)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        'font-family="sans-serif" font-size="13" role="img">\n'
        f"<title>{escape(title)}</title>\n"
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>\n'
        + "\n".join(drawn)
        + "\n</svg>\n"
    )


def _legend(parts: Sequence[Part]) -> list[str]:
    drawn = []
    for number, part in enumerate(parts):
        x = LABELS + number * 125
        drawn.append(_rect(x, 40, 12, 12, COLORS[number]))
        drawn.append(_text(x + 18, 51, part.name))
    return drawn


def _bar(bar: Bar, y: float, scale: float) -> list[str]:
    x: float = LABELS
    drawn = [_text(LABELS - 8, y + 15, bar.name, anchor="end")]
    for color, part in zip(COLORS, bar.parts, strict=False):
        width = part.value * scale
        if width:
            drawn.append(_rect(x, y, width, ROW - 10, color))
        x += width
    return [*drawn, _text(x + 6, y + 15, f"{bar.value:.2f}")]


def _rect(x: float, y: float, width: float, height: float, color: str) -> str:
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{color}"/>'
    )


def _text(x: float, y: float, text: str, anchor: str = "start", weight: str = "normal") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}" '
        f'fill="#222222">{escape(text)}</text>'
    )
