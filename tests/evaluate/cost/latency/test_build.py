"""Latency tables: measured, checked on whole networks, refused where they are not accurate. No timing is asserted."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nas.core.errors import InputError
from nas.core.records import Architecture
from nas.evaluate.cost.latency.build import BuildSettings, _line, _module, build_table, measure_network
from nas.evaluate.cost.latency.operators import input_shape, operators_in, operators_of
from nas.evaluate.cost.latency.table import LatencyTable, as_text, read_table
from nas.evaluate.cost.latency.timing import interleaved_medians
from nas.evaluate.devices import load_device, network_speed
from nas.search_spaces.catalogue import load_space
from nas.search_spaces.module import build
from nas.search_spaces.stage_table import StageTableSpace
from tests.toys import TINY_FORM

QUICK = BuildSettings(rounds=3, calibration=4)


@pytest.fixture(scope="module")
def table() -> LatencyTable:
    return build_table(StageTableSpace(TINY_FORM), QUICK)


def test_a_table_is_made_checked_and_read_back(table: LatencyTable, tmp_path: Path) -> None:
    space = StageTableSpace(TINY_FORM)
    assert len(table.operators_ms) == len(operators_in(space)) and min(table.operators_ms.values()) > 0
    checked = table.validation.networks
    assert len({network.genes for network in checked}) == len(checked) == 20
    errors = [abs(network.predicted_ms / network.measured_ms - 1) for network in checked]
    assert table.validation.mape == pytest.approx(np.mean(errors))
    for network in checked:
        architecture = Architecture("tiny", network.genes)
        assert table.predict_ms(space.decode(architecture)) == pytest.approx(network.predicted_ms)
    (tmp_path / "t.json").write_text(as_text(table))
    assert read_table(tmp_path / "t.json") == table


def test_operators_in_a_row_compute_what_the_network_computes() -> None:
    network = StageTableSpace(TINY_FORM).decode(Architecture("tiny", (1, 1, 1, 2, 1)))
    module = build(network).eval()
    parts = [module.stem, *(block for stage in module.stages for block in stage.children())]
    values = torch.randn(2, *input_shape(operators_of(network)[0])[1:])
    for operator, part in zip(operators_of(network), parts, strict=False):
        own = _module(operator).eval()
        own.load_state_dict(part.state_dict())
        assert tuple(values.shape) == input_shape(operator, 2)
        with torch.inference_mode():
            torch.testing.assert_close(own(values), values := part(values))
    head = _module(operators_of(network)[-1]).eval()
    head.load_state_dict({name: value for name, value in module.state_dict().items() if name in head.state_dict()})
    with torch.inference_mode():
        expected = module.classifier(module.hidden(module.head(values).mean((2, 3))))
        torch.testing.assert_close(head(values), expected)


def test_a_device_of_a_table(table: LatencyTable, tmp_path: Path) -> None:
    space = StageTableSpace(TINY_FORM)
    path = tmp_path / "t.json"
    path.write_text(as_text(table))
    device = load_device(str(path), space, max_error=100)
    genes = np.array([network.genes for network in table.validation.networks])
    np.testing.assert_allclose(
        device.costs(genes)["latency_ms"], [network.predicted_ms for network in table.validation.networks]
    )
    assert "mean error on 20 other networks" in device.note
    speed, note = network_speed(str(path), space.decode(Architecture("tiny", tuple(genes[0].tolist()))))
    assert speed["latency_ms"] == pytest.approx(table.validation.networks[0].predicted_ms) and note == device.note


def test_an_inaccurate_table_is_refused_unless_that_is_accepted(table: LatencyTable, tmp_path: Path) -> None:
    data = table.model_dump(mode="json")
    data["validation"]["mape"] = 0.142
    path = tmp_path / "t.json"
    path.write_text(json.dumps(data))
    space = StageTableSpace(TINY_FORM)
    with pytest.raises(InputError, match=r"off by 14.2% .* more than 10%.*max_latency_error=0.15"):
        load_device(str(path), space)
    assert load_device(str(path), space, max_error=0.15).metrics == ("latency_ms",)
    with pytest.raises(InputError, match="has no operator"):
        load_device(str(path), load_space("efficientnet"), max_error=1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot|expected|JSON"),
        ("[]", "t.json"),
        ('{"space": 3}', "space"),
        ('{"scales": 1}', "unknown key 'scales'"),
    ],
)
def test_files_that_are_no_table(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text(text)
    with pytest.raises(InputError, match=message):
        read_table(tmp_path / "t.json")
    with pytest.raises(InputError, match="cannot be read"):
        read_table(tmp_path / "absent.json")


def test_sums_become_latencies_by_a_line() -> None:
    sums = np.array([1.0, 2.0, 3.0])
    np.testing.assert_allclose(_line(sums, 0.5 + 2 * sums), (2, 0.5))
    scale, intercept = _line(sums, 10 - sums)  # no sense in it: through 0
    assert scale > 0 and intercept == 0


def test_every_call_is_made_in_every_round() -> None:
    made: list[str] = []
    times = interleaved_medians([lambda: made.append("a"), lambda: made.append("b")], rounds=3)
    assert times.shape == (2,) and (times >= 0).all()
    turns = "".join(made).lstrip("a").lstrip("b")  # behind the warm-up
    assert len([1 for one, two in pairwise(turns) if one != two]) == 5


def test_whole_networks_by_both_backends(tiny_space: StageTableSpace) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    pytest.importorskip("onnx", reason="onnx is not installed")
    network = tiny_space.decode(Architecture("tiny", (0, 0, 0, 0, 0)))
    for backend in ("eager", "onnxruntime"):
        assert measure_network(network, BuildSettings(backend=backend, rounds=3)) > 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"device": "tpu"}, "device: expected cpu or cuda, got 'tpu'"),
        ({"backend": "onnx"}, "backend: expected eager or onnxruntime"),
        ({"threads": 0}, "threads"),
        ({"rounds": 1}, "--rounds: expected at least 3"),
        ({"validation": 5}, "--validation: expected at least 20"),
    ],
)
def test_settings_that_make_no_sense(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        BuildSettings(**changes)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_no_gpu_is_said(tiny_space: StageTableSpace) -> None:
    with pytest.raises(InputError, match="found none; use --device cpu"):
        build_table(tiny_space, BuildSettings(device="cuda", rounds=3))
