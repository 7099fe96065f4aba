"""Training two networks alike."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nas.core.errors import InputError, WorkError
from nas.evaluate.data.settings import DataSettings
from nas.evaluate.proxy.settings import ProxySettings
from nas.search_spaces.network import Network
from nas.studies.compare_trained import Confirmed, confirm, difference
from tests.toys import Heard

DATA = DataSettings(resolution=16, fraction=0.1)


def test_every_network_is_trained_with_every_seed(tiny_network: Network) -> None:
    wider = replace(tiny_network, name="wider", head=replace(tiny_network.head, channels=64))
    said = Heard()
    found = confirm([tiny_network, wider], DATA, ProxySettings(epochs=1), seeds=2, callback=said)
    assert [item.name for item in found] == [tiny_network.name, "wider"] and len(said.messages) == 5
    assert all(len(item.accuracies) == 2 and not item.failures for item in found)
    again = confirm([tiny_network], DATA, ProxySettings(epochs=1), seeds=2)
    assert again[0].accuracies == found[0].accuracies


def test_what_diverges_is_told(tiny_network: Network) -> None:
    with pytest.raises(WorkError, match="could not be trained: diverged"):
        confirm([tiny_network], DATA, ProxySettings(epochs=2, optimizer="sgd", learning_rate=1e30, warmup=0), seeds=1)


def test_images_that_are_too_small_are_refused_before_any_work(tiny_network: Network) -> None:
    deep = replace(tiny_network, stages=tuple(replace(stage, stride=2) for stage in tiny_network.stages))
    with pytest.raises(InputError, match="stride"):
        confirm([deep], DATA.model_copy(update={"resolution": 4}), ProxySettings(epochs=1), seeds=1)


def test_the_difference_by_welch() -> None:
    found = difference(Confirmed("a", (0.5, 0.6, 0.7), ()), Confirmed("b", (0.3, 0.4, 0.5), ()))
    assert found is not None and found.mean == pytest.approx(0.2)
    assert found.low == pytest.approx(-0.0267, abs=1e-4) and found.high == pytest.approx(0.4267, abs=1e-4)
    assert difference(Confirmed("a", (0.5,), ()), Confirmed("b", (0.3, 0.4), ())) is None
    assert difference(Confirmed("a", (0.5, 0.5), ()), Confirmed("b", (0.3, 0.3), ())) is None  # says nothing of chance
