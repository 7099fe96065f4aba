"""Look-up of a network by a THING: a run directory, a training's folder, a network's YAML file, or a reference name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nas.core.documents import read_yaml
from nas.core.errors import InputError, nearest_name
from nas.core.files import expanded
from nas.core.program import program
from nas.scale.compound import OFFICIAL, official_scalings, scale
from nas.search_spaces.catalogue import reference_names, reference_network
from nas.search_spaces.network import Network
from nas.search_spaces.yaml_format import network_from_dict
from nas.search_spaces.yaml_kinds import NETWORK, refuse_others

_B0 = "efficientnet_b0"


def thing_names() -> list[str]:
    """Return every reference name."""
    return sorted({*reference_names(), *(f"efficientnet_{name}" for name in OFFICIAL)})


def told_apart(networks: Sequence[Network], references: Sequence[str]) -> list[Network]:
    """Return networks with unique names: networks that share a name are named as the user typed them."""
    names = [network.name for network in networks]
    return [
        replace(network, name=reference.replace("/", " ").strip()) if names.count(network.name) > 1 else network
        for network, reference in zip(networks, references, strict=True)
    ]


def find_network(reference: str) -> Network:
    """Return the stage table of a THING.

    Raises:
        InputError: if there is no such network.
    """
    if reference in reference_names():
        return reference_network(reference)
    if reference in thing_names():
        base = reference_network(_B0)
        member = reference.removeprefix("efficientnet_")
        return scale(base, official_scalings(member, _B0, base.resolution)[0])
    path = expanded(reference)
    if path.is_dir():
        trained = path / "network.yaml"
        baseline = trained if trained.exists() else path / "baseline.yaml"
        if not baseline.exists():
            raise InputError(
                f"'{reference}' has no baseline.yaml: it is not a run directory, or the run has not ended; resume with "
                f"{program()} search --resume {reference}"
            )
        path = baseline
    elif not path.exists():
        raise InputError(
            f"expected a run directory, a network's YAML file or a reference name, got '{reference}'"
            f"{nearest_name(reference, thing_names())}"
        )
    data = read_yaml(path)
    if "genes" in data and "stages" not in data:
        raise InputError(f"{path}: holds a genotype of space '{data.get('space')}', which has no stage tables")
    refuse_others(data, NETWORK, str(path))
    return network_from_dict(data, str(path))
