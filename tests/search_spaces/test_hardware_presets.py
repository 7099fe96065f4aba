from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nas.core.errors import InputError
from nas.search_spaces import space as spaces
from nas.search_spaces.catalogue import load_space
from nas.search_spaces.hardware_presets import PRESETS, apply_preset
from nas.search_spaces.network import Network
from nas.search_spaces.stage_table import StageTableSpace
from tests.toys import PlainSpace, read_trials, run_nas


def networks(space: str, preset: str) -> list[Network]:
    shaped, generator = apply_preset(load_space(space), preset), np.random.default_rng(0)
    assert shaped.name == f"{space}-{preset}"
    return [shaped.decode(spaces.sample(shaped, generator)) for _ in range(30)]


@pytest.mark.parametrize("space", ["efficientnet", "mobilenet_v3", "small-images", "mnasnet", "mnasnet-wide"])
def test_edge_networks_have_neither_se_nor_swish(space: str) -> None:
    for network in networks(space, "edge-int8"):
        assert all(stage.se == 0 for stage in network.stages)
        assert {part.activation for part in network.parts} == {"relu6"}


def test_mobile_networks_have_no_exponentials() -> None:
    found = networks("efficientnet", "mobile")
    assert any(stage.se for network in found for stage in network.stages)
    for network in found:
        assert {part.activation for part in network.parts} == {"hard_swish"}
        assert all(stage.se_gate == "hard_sigmoid" for stage in network.stages)


def test_gpu_networks_may_begin_with_regular_convolutions() -> None:
    found = networks("efficientnet", "gpu")
    assert {stage.op for network in found for stage in network.stages[:3]} == {"conv", "mbconv"}
    assert {stage.op for network in found for stage in network.stages[3:]} == {"mbconv"}


def test_what_cannot_be_shaped() -> None:
    with pytest.raises(InputError, match="did you mean 'mobile'"):
        apply_preset(load_space("efficientnet"), "mobil")
    with pytest.raises(InputError, match="is not a stage table"):
        apply_preset(PlainSpace("plain", (2, 2)), "gpu")
    form = {"name": "b", "resolution": 32, "classes": 2, "stem": {"channels": 8}, "head": {"channels": 8}}
    blocks = StageTableSpace({**form, "stages": [["r1_k3_s11_e1_i8_o8", "r2_k3_s11_e1_i8_o8"]]})
    with pytest.raises(InputError, match="list of stages in block notation"):
        apply_preset(blocks, "gpu")


def test_a_search_keeps_its_preset(tmp_path: Path) -> None:
    run_nas("search", "--preset", "edge-int8", "--target-flops", "300M", "--trials", "4", "--out", "r", cwd=tmp_path)
    run_nas("search", "--resume", "r", "--trials", "8", cwd=tmp_path)
    trials = read_trials(tmp_path / "r")
    assert len(trials) == 8 and {trial["space"] for trial in trials} == {"efficientnet-edge-int8"}
    assert "relu6" in (tmp_path / "r" / "baseline.yaml").read_text() and set(PRESETS) == {"edge-int8", "mobile", "gpu"}
