"""The figures as a table of plain text."""

from collections.abc import Sequence
from statistics import median

from bench.figures import Figure, Usage

HEADER = ("", "ours", "other", "median", "min", "max", "cpu", "target", "")


def render(figures: Sequence[Figure]) -> str:
    """Lay the figures out, one a line, each with its target and whether it was met."""
    rows = [HEADER, *(_row(figure) for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column in {0, len(HEADER) - 1} else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def amount(value: float, unit: str) -> str:
    """Write a value with its unit: ``2.05x``, ``0.31 s``, ``212 MiB``."""
    if unit == "x":
        return f"{value:.2f}x"
    return f"{value:.2f} {unit}" if value < 100 else f"{value:.0f} {unit}"


def _row(figure: Figure) -> tuple[str, ...]:
    cpu = figure.cpu_ratio
    verdict = "met" if figure.is_met else "MISSED"
    return (
        figure.name,
        _seconds(figure.ours),
        _seconds(figure.other),
        amount(figure.value, figure.unit),
        amount(min(figure.values), figure.unit),
        amount(max(figure.values), figure.unit),
        "" if cpu is None else amount(cpu, "x"),
        f"<= {figure.target:g}{'' if figure.unit == 'x' else ' '}{figure.unit}",
        f"{verdict} ({figure.note})" if figure.note else verdict,
    )


def _seconds(runs: Sequence[Usage]) -> str:
    return amount(median(run.wall for run in runs), "s") if runs else ""
