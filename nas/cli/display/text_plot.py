"""A small text plot: points in a box, with both ends of each axis labelled."""

from __future__ import annotations

from collections.abc import Callable, Sequence

Point = tuple[float, float]


def text_plot(
    points: Sequence[Point],
    marked: Sequence[Point],
    width: int,
    height: int,
    write_x: Callable[[float], str],
    write_y: Callable[[float], str],
    plain: bool = False,
) -> list[str]:
    """Return the lines of a scatter plot in which some points are marked.

    Args:
        points: x and y of each point.
        marked: x and y of each marked point; marked points are drawn over the others.
        width: width of the whole plot in characters.
        height: height of the box in lines; the plot has two more lines below the box.
        write_x: function that formats a value of x.
        write_y: function that formats a value of y.
        plain: use only ASCII characters.
    """
    every = [*points, *marked]
    if not every:
        return []
    (left, right), (low, high) = _ends([x for x, _ in every]), _ends([y for _, y in every])
    labels = [write_y(high), *[""] * (height - 2), write_y(low)] if height > 1 else [write_y(high)]
    margin = max(map(len, labels))
    columns = max(8, width - margin - 2)
    box = [[" "] * columns for _ in range(height)]
    for group, mark in ((points, "." if plain else "·"), (marked, "*" if plain else "●")):
        for x, y in group:
            column = round((x - left) / (right - left) * (columns - 1))
            line = round((high - y) / (high - low) * (height - 1))
            box[line][column] = mark
    side, corner, floor = ("|", "+", "-") if plain else ("│", "└", "─")
    lines = [f"{label:>{margin}} {side}{''.join(row)}" for label, row in zip(labels, box, strict=True)]
    first, last = write_x(left), write_x(right)
    gap = " " * max(1, columns - len(first) - len(last))
    return [*lines, f"{'':>{margin}} {corner}{floor * columns}", f"{'':>{margin}}  {first}{gap}{last}"]


def _ends(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    if low == high:
        room = abs(low) / 2 or 0.5
        return low - room, high + room
    return low, high
