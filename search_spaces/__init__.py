"""Search spaces and networks: genotypes, stage tables, spaces, blocks, modules and their notations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nas.core.public import public_names

if TYPE_CHECKING:
    from nas.search_spaces.catalogue import load_space, space_names
    from nas.search_spaces.module import build
    from nas.search_spaces.network import Network
    from nas.search_spaces.parts import Head, Stage, Stem
    from nas.search_spaces.space import SearchSpace
    from nas.search_spaces.stage_table import StageTableSpace
    from nas.search_spaces.yaml_format import load_network, network_to_yaml

__all__ = [
    "Head",
    "Network",
    "SearchSpace",
    "Stage",
    "StageTableSpace",
    "Stem",
    "build",
    "load_network",
    "load_space",
    "network_to_yaml",
    "space_names",
]

__getattr__, __dir__ = public_names(
    __name__,
    {
        "nas.search_spaces.catalogue": ["load_space", "space_names"],
        "nas.search_spaces.module": ["build"],
        "nas.search_spaces.network": ["Network"],
        "nas.search_spaces.parts": ["Head", "Stage", "Stem"],
        "nas.search_spaces.space": ["SearchSpace"],
        "nas.search_spaces.stage_table": ["StageTableSpace"],
        "nas.search_spaces.yaml_format": ["load_network", "network_to_yaml"],
    },
)
