"""Settings of the images that a run uses."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from nas.core.flag import Flag
from nas.core.section import Section

CROP_SHARE = 0.875  # share of the side that a centre crop keeps, as is usual for ImageNet

DIGITS = "digits"


def _share(value: float) -> float:
    if not (0 < value < 0.5 or (value >= 1 and value == int(value))):
        raise ValueError(f"expected a fraction between 0 and 0.5, or a whole number of images, got {value}")
    return value


def _names(value: Any) -> Any:
    """Refuse class names that YAML does not read as text.

    Raises:
        ValueError: saying how to write them.
    """
    if isinstance(value, (list, tuple)):
        for item in value:
            if isinstance(item, bool):
                word = "yes" if item else "no"
                raise ValueError(
                    f"expected class names as text, got {item}: YAML reads {word}, {'on' if item else 'off'} and "
                    f"{str(item).lower()} as a truth value; write the name in quotes, such as '{word}'"
                )
            if not isinstance(item, str):
                raise ValueError(f"expected class names as text, got {item!r}; write the name in quotes: '{item}'")
    return value


def _several(classes: tuple[str, ...] | int | None) -> tuple[str, ...] | int | None:
    count = classes if isinstance(classes, int) else None if classes is None else len(classes)
    if count is not None and count < 2:
        raise ValueError(f"expected at least 2 classes, by name or as a number, got {classes}")
    return classes


def keep_old_split(config: dict[str, Any]) -> None:
    """Set ``data.split_seed`` in a configuration from before 0.1.0, when ``seed`` decided the split."""
    if isinstance(data := config.get("data"), dict) and "split_seed" not in data and "seed" in config:
        data["split_seed"] = config["seed"]


class DataSettings(Section):
    """Settings of the images: source, resolution and splits."""

    source: Annotated[
        str,
        Flag(
            "--data",
            help="Images to train on: a name (see: nas data list), or a folder or zip.",
            completion="data",
        ),
    ] = DIGITS
    """A name that ``nas data list`` shows (``digits``: 1,797 real 8x8 images from scikit-learn), a folder or zip of
    images, or the folder of ``nas data prepare --out``."""
    resolution: int = Field(default=32, ge=1)
    """Side of the images in pixels in proxy trainings."""
    validation: Annotated[float, AfterValidator(_share)] = 0.2
    """Images held out from the training images for the reward, as a fraction or as a number (the papers: 50000 of
    ImageNet), if the source has no split of its own for this."""
    test: Annotated[float, AfterValidator(_share)] = 0.2
    """Images held out for the final score, as a fraction or as a number, if the source has no split of its own for
    this."""
    split_seed: int = Field(default=0, ge=0)
    """Seed of the split into training, validation and test images, and of ``classes`` if it is a number. It is apart
    from all other seeds, so that runs with other seeds are scored on the same images."""
    fraction: float = Field(default=1.0, gt=0, le=1)
    """Fraction of the training images used in proxy trainings, the same for every class."""
    classes: Annotated[tuple[str, ...] | int | None, BeforeValidator(_names), AfterValidator(_several)] = None
    """Names of the classes to use, or a number of classes that are drawn with ``split_seed``; if
    unset, all."""
