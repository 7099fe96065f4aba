"""What a YAML file holds, so that one given in another's place is told by its name and not key by key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas.core.errors import InputError

NETWORK, SPACE = "a network", "a search space"
SEARCH, TRAINING = "a search's configuration", "a training's configuration"
GENOTYPE = "a genotype of a space without stage tables"
USES = {
    NETWORK: "nas show FILE, nas scale FILE and nas train FILE take it",
    SPACE: "nas search --space FILE and nas check FILE take it",
    SEARCH: "nas search --config FILE takes it; for the run's network, give the run's folder",
    TRAINING: "nas train --resume FOLDER takes its folder; for the network, give that folder",
    GENOTYPE: "nothing can be shown, scaled or trained of it here",
}


def document_kind(data: Mapping[str, Any]) -> str:
    """Return what a mapping looks like; empty where nothing can be said."""
    if "stages" in data:
        stages = data["stages"] if isinstance(data["stages"], list) else []
        values = [value for stage in stages if isinstance(stage, dict) for value in stage.values()]
        root = [data.get(key) for key in ("resolution", "width", "activation")]
        return SPACE if any(isinstance(value, list) for value in [*values, *root]) else NETWORK
    if "thing" in data and "recipe" in data:
        return TRAINING
    if "genes" in data:
        return GENOTYPE
    return SEARCH if {"evaluator", "controller", "objective"} & set(data) else ""


def refuse_others(data: Mapping[str, Any], wanted: str, source: str) -> None:
    """Refuse a document that is plainly of another kind than the one that is wanted.

    Raises:
        InputError: saying what it is, and what takes it.
    """
    kind = document_kind(data)
    if kind and kind != wanted:
        raise InputError(f"{source}: expected {wanted}, but this is {kind}; {USES[kind]}")
