"""Intervals: Wilson's, and that of the difference of two networks on the same images."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from nas.core.statistics import (
    Noise,
    mean_difference,
    paired_difference,
    smallest_visible_difference,
    wilson_interval,
)


def test_wilson_is_scipys() -> None:
    from scipy.stats import binomtest

    for hits, count in ((0, 10), (201, 320), (10, 10), (999, 1000)):
        expected = binomtest(hits, count).proportion_ci(method="wilson")
        assert wilson_interval(hits / count, count) == pytest.approx((expected.low, expected.high), abs=1e-5)


@given(some.floats(0, 1), some.integers(0, 10**6))
def test_wilson_holds_the_share(share: float, count: int) -> None:
    low, high = wilson_interval(share, count)
    assert 0 <= low <= share + 1e-9 and share - 1e-9 <= high <= 1


def simulated(generator: np.random.Generator, images: int, gap: float, seed_std: float) -> tuple[bool, float]:
    """Return whether the interval of one simulated comparison holds the true difference, and its half width."""
    easy = generator.uniform(0.2, 1.0, images)  # how often each image is classified correctly
    flags = []
    for offset in (gap, 0.0):
        shifts = generator.normal(0, seed_std, 3)
        flags.append(np.stack([generator.random(images) < np.clip(easy - 0.1 + offset + one, 0, 1) for one in shifts]))
    noise = Noise(seed_std + 0.004, 4)
    found = paired_difference(flags[0], flags[1], noise)
    return abs(found.value - gap) <= found.half_width, found.half_width


def test_the_interval_of_a_paired_difference_holds_the_truth() -> None:
    generator = np.random.default_rng(0)
    held, widths = zip(*(simulated(generator, 400, 0.05, 0.01) for _ in range(400)), strict=True)
    assert np.mean(held) > 0.94
    unpaired = 1.96 * math.sqrt(2 * 0.25 / 400)
    assert np.mean(widths) < unpaired + 0.03  # images that both get right or wrong do not widen it


def test_more_images_narrow_the_interval_and_seeds_do_not_vanish() -> None:
    generator = np.random.default_rng(1)
    few, many = (simulated(generator, images, 0.0, 0.01)[1] for images in (200, 20_000))
    assert many < few and many > 2 * 0.01 * math.sqrt(2 / 3)


def test_equal_networks_are_not_told_apart() -> None:
    flags = np.ones((3, 50), dtype=bool)
    found = paired_difference(flags, flags, Noise(0.01, 4))
    assert found.value == 0 < found.half_width
    assert (
        0.02 < paired_difference(flags, flags, None).half_width < 0.08
    )  # fifty images cannot show that they are equal
    assert mean_difference([0.5], [0.4], None).half_width == math.inf


def test_small_folders_show_only_large_differences() -> None:
    assert smallest_visible_difference(320) == pytest.approx(0.055, abs=0.001)
    assert smallest_visible_difference(10) > 0.25 > smallest_visible_difference(1000)
