"""The kinds of YAML files, so that a file of the wrong kind gives one message instead of a message about every key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas.core.errors import InputError

NETWORK, SPACE = "a network", "a search space"
SEARCH, TRAINING = "a search's configuration", "a training's configuration"
_GENOTYPE = "a genotype of a space without stage tables"
_USES = {
    NETWORK: "use it with nas show FILE, nas scale FILE or nas train FILE",
    SPACE: "use it with nas search --space FILE or nas check FILE",
    SEARCH: "use it with nas search --config FILE; for the run's network, give the run directory",
    TRAINING: "use its folder with nas train --resume FOLDER; for the network, give its folder",
    _GENOTYPE: "it cannot be shown, scaled or trained here",
}


def _document_kind(data: Mapping[str, Any]) -> str:
    """Return the kind of document that a mapping looks like; empty if the kind is unknown."""
    if "stages" in data:
        stages = data["stages"] if isinstance(data["stages"], list) else []
        values = [value for stage in stages if isinstance(stage, dict) for value in stage.values()]
        root = [data.get(key) for key in ("resolution", "width", "activation")]
        return SPACE if any(isinstance(value, list) for value in [*values, *root]) else NETWORK
    if "thing" in data and "recipe" in data:
        return TRAINING
    if "genes" in data:
        return _GENOTYPE
    return SEARCH if {"evaluator", "controller", "objective"} & set(data) else ""


def refuse_others(data: Mapping[str, Any], wanted: str, source: str) -> None:
    """Raise ``InputError`` for a document that is clearly of another kind than the wanted one.

    Raises:
        InputError: with the document's kind and the commands that accept it.
    """
    kind = _document_kind(data)
    if kind and kind != wanted:
        raise InputError(f"{source}: expected {wanted}, but this is {kind}; {_USES[kind]}")
