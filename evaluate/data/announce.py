"""What the user is told about loaded images before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping

from nas.core.callback import Callback
from nas.core.statistics import smallest_visible_difference
from nas.evaluate.data.image_data import UNEVEN, ImageData
from nas.evaluate.data.pixels import is_deep

_MOST_LISTED = 10  # maximum number of unreadable images named in a message
_COLUMN = "\n         "


def mixed_depths(modes: Mapping[str, int]) -> str:
    """Return a warning if a data set holds deep images and images of 8 bits; empty if it does not."""
    deep = {mode: count for mode, count in modes.items() if is_deep(mode)}
    plain = {mode: count for mode, count in modes.items() if not is_deep(mode)}
    if not deep or not plain:
        return ""
    told = " and ".join(", ".join(f"{count:,} {mode}" for mode, count in one.items()) for one in (deep, plain))
    return (
        f"images of different depths are mixed ({told}): deep ones are scaled by their range, the others are not, so a "
        "network may learn the depth instead of the class. Convert them to one depth"
    )


def announce_images(data: ImageData, source: str, callback: Callback, more: str = "") -> None:
    """Report the images: their number, classes and what is left out; warn of unreadable files and of copies.

    Args:
        data: the images.
        source: their source.
        callback: receives the message and the warnings.
        more: text after the number of images.
    """
    lines = [f"Data     {source}: {data.describe()}{more}", f"classes: {data.describe_classes()}"]
    if data.pixel_range is not None:
        low, high = data.pixel_range.low, data.pixel_range.high
        lines.append(f"deep images (more than 8 bits) are scaled from {low:g}..{high:g} to 0..255")
    if count := len(data.test.labels):
        visible = 100 * smallest_visible_difference(count)
        lines.append(f"{count:,} test images show differences between networks of about {visible:.1f} points and more")
    lines += [f"left out: {note}" for note in data.notes]
    callback.message(_COLUMN.join(lines))
    if warning := mixed_depths(data.modes):
        callback.warning(warning)
    if missing := [name for name, counts in data.class_counts().items() if not counts[2]]:
        names = ", ".join(missing[:_MOST_LISTED])
        callback.warning(f"no test images of {names}: the test accuracy says nothing of them")
    if data.unevenness >= UNEVEN:
        callback.warning(
            f"the largest class has {data.unevenness:.0f} times as many training images as the smallest: accuracy says "
            "little of rare classes. Maximise --metric balanced_accuracy, and weigh classes in the loss "
            "(--set evaluator.class_weights=true in a search, recipe.class_weights=true in a training)"
        )
    if data.skipped:
        lines = [f"{len(data.skipped)} unreadable images are left out:", *data.skipped[:_MOST_LISTED]]
        if len(data.skipped) > _MOST_LISTED:
            lines.append(f"... {len(data.skipped)} in all; 'nas data prepare' lists every one")
        callback.warning(_COLUMN.join(lines))
    for name, count in data.copies().items():
        if count:
            total = len(data.parts[name].labels)
            others = "training" if name == "validation" else "training or validation"
            callback.warning(
                f"{count:,} of the {total:,} {name} images are exact copies of {others} images: the {name} accuracy is "
                "too high. Remove the copies"
            )
