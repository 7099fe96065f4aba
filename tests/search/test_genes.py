"""Every gene is seen by what is evaluated, or refused before any work."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from nas.core.errors import InputError
from nas.core.records import Architecture
from nas.evaluate.data.load import load_data
from nas.evaluate.data.settings import DataSettings
from nas.evaluate.proxy.evaluator import ProxyEvaluator
from nas.evaluate.proxy.settings import ProxySettings
from nas.search.assemble import prepare
from nas.search.config import load_config
from nas.search.genes import check_genes_are_seen, searched_resolutions
from nas.search_spaces.network import Network
from nas.search_spaces.stage_table import StageTableSpace
from tests.toys import TINY_FORM

FORM = {**TINY_FORM, "resolution": [64, 224]}


class Space:
    """A space whose second gene changes what ``change`` says."""

    name, gene_sizes, gene_names = "mine", (2, 2), ("layers", "second")

    def __init__(self, change: str) -> None:
        self.change, self.tiny = change, StageTableSpace(TINY_FORM)

    def decode(self, architecture: Architecture) -> Network:
        first, second = architecture.genes
        network = self.tiny.decode(Architecture("tiny", (0, 0, first, 0, 0)))
        changes: dict[str, dict[str, Any]] = {
            "nothing": {},
            "drop_connect": {"drop_connect": 0.1 * second},
            "dropout": {"head": replace(network.head, dropout=0.1 * second)},
            "norm_momentum": {"norm_momentum": 0.01 + 0.1 * second},
            "classes": {"classes": 10 + second},
            "resolution": {"resolution": 16 + 16 * second},
        }
        return replace(network, **changes[self.change])


@pytest.mark.parametrize(
    ("change", "settings", "seen"),
    [
        ("nothing", {}, False),
        ("drop_connect", {}, True),
        ("drop_connect", {"drop_connect": 0.2}, False),
        ("dropout", {"dropout": 0.0}, False),
        ("dropout", {}, True),
        ("norm_momentum", {}, False),  # the proxy has its own
        ("resolution", {}, False),
        ("resolution", {"reference_resolution": 32}, True),
    ],
)
def test_genes_that_the_proxy_does_not_train(change: str, settings: dict[str, Any], seen: bool) -> None:
    def check() -> None:
        check_genes_are_seen(Space(change), ProxySettings(**settings), 32, reads_genes=False)

    if seen:
        check()
    else:
        with pytest.raises(InputError, match="gene 'second' changes nothing in the network that the proxy trains"):
            check()


def test_users_evaluators_may_read_the_genes_themselves() -> None:
    with pytest.raises(InputError, match="gene 'second' changes nothing .* says so with reads_genes = True"):
        check_genes_are_seen(Space("nothing"), None, 32, reads_genes=False)
    check_genes_are_seen(Space("nothing"), None, 32, reads_genes=True)
    check_genes_are_seen(Space("norm_momentum"), None, 32, reads_genes=False)


def test_classes_are_no_choice() -> None:
    with pytest.raises(InputError, match="has|have 10 to 11 classes"):
        check_genes_are_seen(Space("classes"), None, 32, reads_genes=False)
    with pytest.raises(InputError, match=r"classes: expected one fixed value, got the list \[10, 20\]"):
        StageTableSpace({**TINY_FORM, "classes": [10, 20]})


def test_searched_resolutions_are_trained_in_proportion(tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text(yaml.safe_dump(FORM))
    config = load_config("proxy", {"space": str(tmp_path / "space.yaml"), "data": {"resolution": 32}}, [])
    setup = prepare(config)
    assert searched_resolutions(setup.space) == [64, 224]
    assert setup.recipe.proxy is not None and setup.recipe.proxy.reference_resolution == 224
    assert setup.config.proxy is not None and setup.config.proxy.reference_resolution == 224  # kept with the run


def test_networks_of_two_resolutions_are_trained_differently(tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text(yaml.safe_dump(FORM))
    config = load_config("proxy", {"space": str(tmp_path / "space.yaml"), "data": {"resolution": 28}}, [])
    setup = prepare(config)
    assert setup.recipe.proxy is not None
    data = load_data(DataSettings(resolution=28, fraction=0.1))
    evaluator = ProxyEvaluator(setup.recipe.proxy.model_copy(update={"epochs": 1}), data, "cpu")
    sides = []
    for gene in (0, 1):
        architecture = Architecture("tiny", (gene, 0, 0, 0, 0, 0))
        network = setup.space.decode(architecture)  # type: ignore[attr-defined]
        module = evaluator._build(architecture, network)
        hooked = next(one for one in module.modules() if isinstance(one, torch.nn.Conv2d))
        hooked.register_forward_hook(lambda _, inputs, __: sides.append(inputs[0].shape[-1]))
        module.eval()(torch.zeros(1, 3, 28, 28))
    assert sides == [8, 28]


def test_a_resolution_too_small_for_the_proxy_is_told(tmp_path: Path) -> None:
    stages = [{**TINY_FORM["stages"][1], "stride": 2} for _ in range(5)]
    (tmp_path / "space.yaml").write_text(yaml.safe_dump({**FORM, "stages": stages}))
    config = load_config("proxy", {"space": str(tmp_path / "space.yaml"), "data": {"resolution": 64}}, [])
    with pytest.raises(InputError, match=r"too small for this space \(networks of 64 px train at 18 px\)"):
        prepare(config)


@pytest.mark.parametrize(("images", "batch", "expected"), [(1000, 512, 500), (109, 64, 55), (64, 64, 64), (65, 64, 33)])
def test_steps_never_exceed_the_batch_size(images: int, batch: int, expected: int) -> None:
    import math

    from nas.evaluate.proxy.images import Images, Normalisation
    from nas.evaluate.proxy.loop import Training

    pixels, labels = torch.zeros((images, 4, 4, 3), dtype=torch.uint8), torch.arange(images) % 2
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 2))
    settings = ProxySettings(batch_size=batch, learning_rate=0.1, warmup=0.0)
    every = Images.of(pixels, labels)
    training = Training(module, every, Normalisation.measure(every), settings, False, torch.Generator().manual_seed(0))
    sizes: list[int] = []
    rates: list[float] = []
    original = training._step

    def step(images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        sizes.append(len(images))
        rates.append(training.optimizer.param_groups[0]["lr"])
        return original(images, labels)

    training._step = step  # type: ignore[assignment]
    training.run(1)
    assert sum(sizes) == images and max(sizes) == expected <= batch and max(sizes) - min(sizes) <= 1
    assert rates[0] == pytest.approx(0.1 * images / math.ceil(images / batch) / batch, rel=1e-6)
