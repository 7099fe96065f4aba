"""What a search takes from its supernet, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nas.core.errors import InputError
from nas.evaluate.objective.limits import Limit, Limits
from nas.evaluate.supernet.file import SHARED, SharedWeights
from nas.evaluate.supernet.form import Form
from nas.search.config import load_config
from nas.search.shared_weights import check_resolution, within

KNOWN = {"source": "digits", "resolution": 16, "split_seed": 3}


def weights(**limits: tuple[float, float | None]) -> SharedWeights:
    figures = (1.0, 2.0, 3.0)
    tensors = {"stem/weight": torch.zeros(1)}
    made = SharedWeights(tensors, "small-images", (2,), ("a", "b"), Form(16, 32), figures, figures, limits=limits)
    return SharedWeights(**{**vars(made), "reference": "small-images", "data": KNOWN})


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((), (3.6e6, 8e6)),
        ((Limit("macs", 8e6, 7.2e6),), (7.2e6, 8e6)),
        ((Limit("macs", 6e6),), (3.6e6, 6e6)),
        ((Limit("params", 1e6),), (3.6e6, 8e6)),
    ],
)
def test_limits_inside_those_of_the_supernet(given: tuple[Limit, ...], expected: tuple[float, float]) -> None:
    found = within(weights(macs=(3.6e6, 8e6)), Limits(given))
    assert found.of("macs") == expected
    assert all(found.of(limit.metric)[1] == limit.high for limit in given)


@pytest.mark.parametrize("given", [Limit("macs", 16e6, 14e6), Limit("macs", 3e6), Limit("macs", 4e6, 3e6)])
def test_limits_beyond_those_of_the_supernet_are_refused(given: Limit) -> None:
    with pytest.raises(InputError, match=r"was trained for networks of 3\.60M to 8\.00M macs"):
        within(weights(macs=(3.6e6, 8e6)), Limits((given,)))


def test_a_configuration_takes_space_and_images_from_its_supernet(tmp_path: Path) -> None:
    weights().save(tmp_path / SHARED)
    (tmp_path / "mine.yaml").write_text(f"evaluator: {{name: supernet, supernet: {tmp_path}}}\ntrials: 7\n")
    named = [
        load_config(None, {"evaluator": {"supernet": str(tmp_path)}}, []),
        load_config(None, {}, [f"evaluator.supernet={tmp_path}"]),
        load_config(str(tmp_path / "mine.yaml"), {}, []),
    ]
    for config in named:
        assert config.space == "small-images" and config.has_supernet
        assert (config.data.source, config.data.resolution, config.data.split_seed) == ("digits", 16, 3)
    assert named[2].trials == 7
    refused: list[tuple[dict[str, object], str]] = [
        ({"fidelity": {"method": "asha", "max_epochs": 9}}, "trains none"),
        ({"confirm": {"candidates": 2}}, "nothing can be trained again"),
    ]
    for changes, told in refused:
        with pytest.raises(InputError, match=told):
            load_config(None, {"evaluator": {"supernet": str(tmp_path)}, **changes}, [])


def test_images_of_another_resolution_are_refused() -> None:
    check_resolution(weights(), 16)
    with pytest.raises(InputError, match="the supernet's images have 16 px, got 8"):
        check_resolution(weights(), 8)
