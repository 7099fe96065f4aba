"""The images of a search, for commands that train the network that it found."""

from __future__ import annotations

from typing import Any

from nas.core.files import absolute_path, expanded
from nas.evaluate.data.identity import DataIdentity
from nas.evaluate.data.load import data_names
from nas.search.inputs import located_data
from nas.search.run_directory import read_config, read_identity

_INHERITED = ("source", "classes", "validation", "test", "split_seed")


def data_of_run(thing: str, source: str | None) -> dict[str, Any]:
    """Return the data settings that a training of a run's network inherits, so that its split is that of the search.

    Args:
        thing: what is trained.
        source: the images that the user names; ``None``: those of the run.

    Returns:
        The source, the classes and the split; empty if ``thing`` is not the directory of a run that trained networks,
        or the user names other images.

    Raises:
        InputError: if the run's configuration cannot be read.
    """
    path = expanded(thing)
    if not (path / "trials.jsonl").is_file() or read_identity(path) is None:
        return {}
    config = read_config(path, "train")
    settings = config.data.model_copy(update={"source": located_data(path, config)})
    if source is not None and _place(source) != _place(settings.source):
        return {}
    return {name: getattr(settings, name) for name in _INHERITED}


def other_split(thing: str, now: DataIdentity) -> str:
    """Return how the held-out images of a training differ from those of the run that ``thing`` names, in words.

    The result is empty if they are the same, or ``thing`` is not a run that trained networks.
    """
    path = expanded(thing)
    then = read_identity(path) if (path / "trials.jsonl").is_file() else None
    return "" if then is None or then.held_out == now.held_out else then.changes_to(now)


def _place(source: str) -> str:
    return source if source in data_names() else absolute_path(source)
