"""What every device model keeps to: the surrogate's six accelerators, and a latency table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nas.core.errors import InputError
from nas.evaluate.cost.device import DeviceModel
from nas.evaluate.cost.latency.build import BuildSettings, build_table
from nas.evaluate.cost.latency.table import as_text
from nas.evaluate.devices import device_changes, load_device, network_speed
from nas.evaluate.imagenet.device import TITLES
from nas.search_spaces.catalogue import load_space, reference_network
from nas.search_spaces.space import SearchSpace
from nas.search_spaces.stage_table import StageTableSpace
from tests.toys import TINY_FORM


@pytest.fixture(scope="module")
def table_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("latency") / "tiny.json"
    path.write_text(as_text(build_table(StageTableSpace(TINY_FORM), BuildSettings(rounds=3, calibration=3))))
    return path


@pytest.fixture(params=[*TITLES, "rtx3090", "table"])
def device(request: pytest.FixtureRequest, table_file: Path) -> tuple[DeviceModel, SearchSpace]:
    if request.param == "table":
        space: SearchSpace = StageTableSpace(TINY_FORM)
        return load_device(str(table_file), space, max_error=100), space
    space = load_space("efficientnet")
    return load_device(request.param, space), space


def test_every_metric_is_a_positive_figure_for_every_row(device: tuple[DeviceModel, SearchSpace]) -> None:
    model, space = device
    genes = np.random.default_rng(0).integers(0, np.asarray(space.gene_sizes), size=(40, len(space.gene_sizes)))
    found = model.costs(genes)
    assert set(found) == set(model.metrics) <= {"latency_ms", "throughput"} and model.metrics and model.note
    for metric, values in found.items():
        assert values.shape == (40,) and np.isfinite(values).all()
        np.testing.assert_allclose(model.costs(genes[7:8])[metric], values[7:8], rtol=1e-4)
        np.testing.assert_array_equal(model.costs(genes)[metric], values)
    assert all(len(values) == 0 for values in model.costs(genes[:0]).values())


def test_what_cannot_be_named_or_is_not_covered() -> None:
    with pytest.raises(InputError, match="did you mean 'vck190'"):
        load_device("vck19", load_space("efficientnet"))
    with pytest.raises(InputError, match="--device a100: .* 'small-images' differs from it: .* nas latency build"):
        load_device("a100", load_space("small-images"))
    with pytest.raises(InputError, match="--device a100: .*expected 7 stages"):
        network_speed("a100", reference_network("resnet18"))


def test_one_network_and_its_changes() -> None:
    b0 = reference_network("efficientnet_b0")
    speed, note = network_speed("zcu102", b0)
    assert set(speed) == {"latency_ms", "throughput"} and "ZCU102" in note
    space = load_space("efficientnet")
    genes = tuple(1 for _ in space.gene_sizes)
    smaller = (0, *genes[1:])
    changes = device_changes("zcu102", space, genes, [smaller, genes])
    assert changes["latency_ms"][0] < 0 and changes["latency_ms"][1] == 0
