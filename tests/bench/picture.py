"""The figures as a picture: how far each is on the right side of its goal."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import matplotlib as mpl
from rows import Row

mpl.use("Agg")

from matplotlib import pyplot as plt  # the backend is chosen before
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

MET, MISSED = "#2a7f62", "#b3413b"
TICKS: Final = (0.25, 0.5, 1, 2, 4, 8, 16, 32, 64)


def draw(rows: Sequence[Row], path: Path, *, quick: bool) -> None:
    """Figures with a goal only; one bar each, on a scale where 1 is the goal and more is better."""
    shown = [row for row in rows if row.score is not None][::-1]
    if not shown:
        return
    figure, axes = plt.subplots(figsize=(12, 1.4 + 0.46 * len(shown)))
    for place, row in enumerate(shown):
        score = row.score or 1.0
        axes.barh(place, score - 1, left=1, height=0.62, color=MET if row.met else MISSED)
        low, high = sorted(map(row.scored, (min(row.ratios), max(row.ratios))))
        if high > low:
            axes.plot([low, high], [place, place], color="#222222", linewidth=1.2, marker="|", markersize=7)
        axes.text(
            1.01,
            place,
            f"{_number(row.value)} {row.unit},  {row.ratio:.2f} of {_number(row.reference)}  (goal {row.wish})",
            transform=axes.get_yaxis_transform(),
            va="center",
            fontsize=8.5,
        )
    axes.set_yticks(range(len(shown)), [row.name for row in shown], fontsize=9)
    axes.axvline(1, color="#222222", linewidth=1)
    axes.set_xscale("log")
    scores = [row.score or 1.0 for row in shown]
    axes.set_xlim(min(0.45, min(scores) / 1.3), max(2.2, max(scores) * 1.3))
    axes.xaxis.set_major_locator(FixedLocator(TICKS))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
    axes.set_xlabel("times better than the goal; the line is the goal, whiskers are the rounds", fontsize=9)
    axes.set_title(
        f"segel beside what cannot be avoided{' (quick run)' if quick else ''}", fontsize=11, loc="left"
    )
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    figure.savefig(path, dpi=150, bbox_inches="tight")
    plt.close(figure)


def _number(number: float) -> str:
    return f"{number:,.0f}" if number >= 1000 else f"{number:.3g}"
