"""The network that a search on the surrogate finds, beside EfficientNet-B0."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nas.core.changes import nested
from nas.core.records import Architecture
from nas.evaluate.imagenet.judgement import judge
from nas.evaluate.imagenet.skeleton import b0_genes, skeleton
from nas.search.assemble import Setup, prepare
from nas.search.b0_comparison import b0_share, compare_with_b0, predicted_rewards, sample_inside
from nas.search.config import RunConfig, load_config
from nas.search_spaces.catalogue import reference_network
from nas.studies.rediscovery import TOKENS, choice_name, effects, rediscover
from nas.studies.rediscovery_page import page
from tests.toys import Heard

B0 = reference_network("efficientnet_b0")


def setup_for(**objective: object) -> Setup:
    return prepare(load_config(None, nested({f"objective.{key}": value for key, value in objective.items()}), []))


def test_b0_beside_itself() -> None:
    found = compare_with_b0(setup_for(target_flops="400M"), B0, sample=3000)
    assert found is not None and found.gain == 0 and found.gain_interval[0] == -found.gain_interval[1]
    assert found.b0_inside and found.sample == 3000 and found.b0_better_than is not None
    assert found.b0_better_than > 0.99 and found.found.macs == 385_814_752
    assert found.as_result().efficientnet_b0.accuracy == judge(b0_genes()).accuracy


def test_b0_outside_the_limits_is_said() -> None:
    found = compare_with_b0(setup_for(target_flops="200M"), B0, sample=100)
    assert found is not None and not found.b0_inside
    slow = compare_with_b0(setup_for(device="vck190", **{"limits.latency_ms": "3ms"}), B0, sample=100)
    assert slow is not None and not slow.b0_inside and slow.found.speed["latency_ms"] > 3


def test_only_the_surrogate_s_runs_are_compared() -> None:
    assert compare_with_b0(prepare(load_config("digits", {}, [])), B0) is None
    assert compare_with_b0(setup_for(target_flops="400M"), None) is None


def test_rewards_of_many_are_the_rewards_of_each() -> None:
    setup = setup_for(target_flops="400M", device="vck190", target_latency="3ms", tolerance="none")
    genes = sample_inside(setup, 50, np.random.default_rng(0))
    assert genes is not None
    rewards = predicted_rewards(setup, genes)
    for row, reward in zip(genes.tolist(), rewards, strict=True):
        metrics = setup.costs(Architecture("efficientnet", tuple(row)))
        ratio = (metrics["macs"] / 400e6) ** -0.07 * (metrics["latency_ms"] / 3) ** -0.07
        assert 0.4 < reward / ratio < 0.7  # what is left is the accuracy
        assert setup.reward({**metrics, "accuracy": reward / ratio}) == pytest.approx(reward)


def test_where_b0_stands_is_a_share_of_what_keeps_to_the_limits() -> None:
    setup = setup_for(target_flops="400M")
    found = compare_with_b0(setup, B0, sample=1)
    assert found is not None
    share, count = b0_share(setup, found.b0, 4000, seed=3)
    genes = sample_inside(setup, 4000, np.random.default_rng(3))
    assert share is not None and genes is not None and count == 4000
    macs = setup.costs.columns(genes)["macs"]
    assert (macs >= 360_000_000).all() and (macs <= 400_000_000).all()


def test_effects_are_of_b0_s_21_choices_and_have_intervals() -> None:
    found = effects()
    assert [effect.name for effect in found] == [choice_name(token) for token in TOKENS] and len(found) == 21
    assert all(effect.low < effect.points < effect.high for effect in found)
    by_name = {effect.name: effect for effect in found}
    assert by_name["stage6.expand=6"].points > 0.5 and by_name["stage6.expand=6"].macs > 0
    assert by_name["stage1.expand=1"].points < 0 and by_name["stage1.expand=1"].macs < 0


def test_a_rediscovery_in_small(tmp_path: Path) -> None:
    said = Heard()
    forms, found = rediscover(tmp_path / "r", 400e6, seeds=2, trials=60, sample=400, callback=said)
    assert [(form.name, form.se) for form in forms] == [
        (name, se) for name in ("soft, no band", "soft, band", "hard, no band") for se in ("free", "on")
    ]
    for form in forms:
        assert len(form.choices) == 21 and len(form.macs) == len(form.gains) == len(form.matches) == 2
        assert 1 <= form.b0_rank <= 401 and form.sample == 400
        assert "no band" in form.name or all(360e6 <= macs <= 400e6 for macs in form.macs)
    assert len(list((tmp_path / "r" / "runs").iterdir())) == 12 and len(said.messages) == 6
    text = page(forms, found, 400e6)
    assert text.count("stage3.kernel=5") == 2 and "rank" in text and "95% interval" in text


def test_se_everywhere_is_what_is_searched(tmp_path: Path) -> None:
    from nas.search_spaces.catalogue import load_space
    from nas.studies.rediscovery import _with_se_everywhere

    (tmp_path / "se.yaml").write_text(_with_se_everywhere())
    space = load_space(str(tmp_path / "se.yaml"))
    assert len(space.gene_sizes) == 21 and space.name == "efficientnet-se"
    setup = prepare(RunConfig(space=str(tmp_path / "se.yaml"), evaluator={"name": "imagenet"}))
    assert skeleton().gene_sizes != setup.space.gene_sizes
    drawn = sample_inside(setup, 20, np.random.default_rng(0))
    assert drawn is not None and predicted_rewards(setup, drawn).shape == (20,)
