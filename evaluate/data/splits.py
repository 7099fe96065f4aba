"""The training, validation and test splits, stratified by class and determined by a seed alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from nas.core.errors import InputError, nearest_name
from nas.evaluate.data.settings import DataSettings

Labels = NDArray[np.int64]
Rows = dict[str, tuple[str, Labels]]
"""For ``train``, ``validation`` and ``test``: the source's split that holds the images, and their rows, increasing."""


def split(
    labels: Mapping[str, Labels], names: Sequence[str], settings: DataSettings, generator: np.random.Generator
) -> Rows:
    """Choose the rows of each split.

    Args:
        labels: labels of each split of the source, ``train``, ``val``, ``test`` or ``all``.
        names: names of the classes.
        settings: fractions, and the class subset.
        generator: random generator of the split.

    Raises:
        InputError: if a class has too few images to be in every split.
    """
    kept = _choose_classes(names, settings.classes, generator)
    inside = {part: np.flatnonzero(np.isin(own, kept)) for part, own in labels.items()}
    own = {part: labels[part][rows] for part, rows in inside.items()}
    chosen: Rows = {}
    if "all" in own:
        lists = take(own["all"], names, [settings.validation, settings.test], generator)
        chosen = {part: ("all", rows) for part, rows in zip(("train", "validation", "test"), lists, strict=True)}
    else:
        final = "test" if "test" in own else "val"
        chosen["test"] = (final, np.arange(len(own[final])))
        if final == "test" and "val" in own:
            chosen["validation"] = ("val", np.arange(len(own["val"])))
            chosen["train"] = ("train", np.arange(len(own["train"])))
        else:
            train, validation = take(own["train"], names, [settings.validation], generator)
            chosen["train"], chosen["validation"] = ("train", train), ("train", validation)
    part, rows = chosen["train"]
    chosen["train"] = (part, _reduce(rows, own[part], names, settings.fraction, generator))
    return {part: (origin, inside[origin][rows]) for part, (origin, rows) in chosen.items()}


def _choose_classes(
    names: Sequence[str], wanted: Sequence[str] | int | None, generator: np.random.Generator
) -> list[int]:
    """Return the labels of the classes that are kept, in increasing order.

    Raises:
        InputError: if there is no class of a wanted name, or fewer classes than wanted.
    """
    if wanted is None:
        return list(range(len(names)))
    if isinstance(wanted, int):
        if wanted > len(names):
            raise InputError(f"data.classes: expected at most the {len(names)} classes there are, got {wanted}")
        return sorted(generator.permutation(len(names))[:wanted].tolist())
    for name in wanted:
        if name not in names:
            raise InputError(f"data.classes: '{name}' is no class of these images{nearest_name(name, names)}")
    return sorted({names.index(name) for name in wanted})


def take(labels: Labels, names: Sequence[str], sizes: Sequence[float], generator: np.random.Generator) -> list[Labels]:
    """Split rows by class and return the remaining rows, then one list for each size.

    Every list has at least one row of each class.

    Args:
        labels: labels of the rows, ``(n,)``.
        names: names of the classes.
        sizes: fractions below 1, or numbers of images from 1 up, distributed over the classes like the images.
        generator: random generator of the split.

    Raises:
        InputError: if a class has too few images, or so many images are held out that a class has none left for
            training.
    """
    fractions = [size if size < 1 else size / len(labels) for size in sizes]
    if sum(fractions) >= 1:
        raise InputError(f"data: {sum(sizes):,.0f} images are to be held out, but there are only {len(labels):,}")
    lists: list[list[Labels]] = [[] for _ in range(len(fractions) + 1)]
    owed = [0.0] * len(fractions)  # rounding remainder of each list, carried over to later classes
    for label in np.unique(labels):
        rows = generator.permutation(np.flatnonzero(labels == label))
        if len(rows) <= len(fractions):
            raise InputError(
                f"data: class '{names[label]}' has {len(rows)} images; expected at least {len(fractions) + 1}, "
                "one for each split"
            )
        total = len(rows)
        for place, fraction in enumerate(fractions, start=1):
            wanted = fraction * total + (owed[place - 1] if sizes[place - 1] >= 1 else 0.0)
            count = min(max(1, round(wanted)), (total - 1) // len(fractions))
            owed[place - 1] = wanted - count
            lists[place].append(rows[:count])
            rows = rows[count:]
        lists[0].append(rows)
    for size, rest, chosen in zip(sizes, owed, lists[1:], strict=True):
        if size >= 1 and round(rest):
            raise InputError(
                f"data: {size:,.0f} images are to be held out, but only {sum(map(len, chosen)):,} can be, because "
                "every class needs images in each split; lower data.validation or data.test"
            )
    return [np.sort(np.concatenate(rows)) for rows in lists]


def _reduce(
    rows: Labels, labels: Labels, names: Sequence[str], fraction: float, generator: np.random.Generator
) -> Labels:
    """Return a fraction of ``rows``, the same for every class."""
    return rows if fraction == 1 else rows[take(labels[rows], names, [fraction], generator)[1]]
