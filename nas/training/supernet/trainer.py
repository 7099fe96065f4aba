"""The training of a supernet, with all of the training of one network: recipes, resuming, averages, processes."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor, nn

from nas.core.errors import InputError
from nas.core.records import Architecture
from nas.evaluate.data.image_data import ImageData
from nas.evaluate.proxy.distillation import Teacher
from nas.evaluate.proxy.images import Images
from nas.evaluate.proxy.step import EagerStep
from nas.evaluate.supernet.calibration import calibrated
from nas.evaluate.supernet.one_network import OneNetwork
from nas.evaluate.supernet.sandwich import SandwichStep
from nas.evaluate.supernet.supernet import Supernet
from nas.training.crops import as_scored
from nas.training.recipe import Recipe
from nas.training.score import Score, mean_score, score
from nas.training.supernet.plan import SupernetPlan
from nas.training.supernet.settings import SupernetSettings
from nas.training.trainer import Trainer
from nas.training.world import World

CALIBRATED = 256
"""Training images from which the BatchNorm statistics of a network are measured after each epoch."""
MOST_NORM = 1.0  # of the gradients, unless the recipe says otherwise
_TRIES = 20  # random networks that are looked at
_SANDWICH = 13  # a purpose of the seeds


class SupernetTrainer(Trainer[Supernet]):
    """Trains a supernet by the sandwich rule.

    After each epoch, the largest, the smallest and a random network are scored, with statistics of their own. The mean
    of the three is ``raw``, or ``ema`` if the average of the weights is scored.

    Args:
        supernet: the supernet, on its device.
        plan: its networks.
        networks: the networks of each step.
        data, recipe, resolution, normalisation, seed, world, metric, teacher: as of ``Trainer``; the teacher teaches
            the largest network.

    Raises:
        InputError: if the recipe has settings that need the layers of one network.
    """

    def __init__(
        self,
        supernet: Supernet,
        plan: SupernetPlan,
        networks: SupernetSettings,
        data: ImageData,
        recipe: Recipe,
        resolution: int,
        normalisation: tuple[tuple[float, ...], tuple[float, ...]] | None = None,
        seed: int = 0,
        world: World = World(),  # noqa: B008 (frozen)
        metric: str = "accuracy",
        teacher: Teacher | None = None,
    ) -> None:
        check_recipe(recipe)
        self.plan, self.networks = plan, networks
        super().__init__(supernet, data, recipe, resolution, normalisation, seed, world, metric, teacher)
        drawn = self._drawn(np.random.default_rng([seed, _SANDWICH]))
        self.judged = {"largest": plan.largest, "smallest": plan.smallest, "random": drawn}

    def scores(self, part: str) -> dict[str, Score]:
        """Score the networks that are judged, and their mean, on a split of the images."""
        self._share_buffers()
        kind = "raw" if self.average is None else "ema"
        supernet = self.module if self.average is None else self.average.module
        assert isinstance(supernet, Supernet)
        found = {
            name: self.score_of(self.calibrated(supernet, architecture, CALIBRATED), part)
            for name, architecture in self.judged.items()
        }
        return {kind: mean_score(list(found.values())), **found}

    def calibrated(self, supernet: Supernet, architecture: Architecture, count: int) -> OneNetwork:
        """Return one network with BatchNorm statistics from ``count`` training images, evenly spaced."""

        def images(places: Tensor) -> Tensor:
            aspects = None if self._train.aspects is None else self._train.aspects[places]
            pixels = self._train.batch(places)[0]
            return self.normalise(as_scored(pixels, aspects, self.resolution, self.recipe))

        return calibrated(supernet, architecture, len(self._train), count, images)

    def score_of(self, module: OneNetwork, part: str) -> Score:
        """Score one network on a split of the images."""
        images = Images.load(getattr(self.data, part), self.device)
        return score(module, images, self.normalise, self.resolution, self.precision, self.world)

    def _parameter_groups(self) -> list[dict[str, Any]]:
        """Return two groups: weights, and what has no weight decay."""
        kept: list[nn.Parameter] = []
        decayed: list[nn.Parameter] = []
        for name, parameter in self.module.named_parameters():
            is_plain = "/norm/" in name or (name.endswith("/bias") and not self.recipe.decay_biases)
            (kept if is_plain else decayed).append(parameter)
        decay = self.recipe.weight_decay
        return [
            {"params": decayed, "rate": 1.0, "weight_decay": decay},
            {"params": kept, "rate": 1.0, "weight_decay": 0.0},
        ]

    def _make_step(self, weights: Tensor | None) -> EagerStep:
        settings = self._step_settings(weights, self.recipe.clip_norm or MOST_NORM)
        return SandwichStep(self.module, self.optimizer, *settings)

    def _gradients(self, images: Tensor, targets: Tensor, share: float) -> Tensor:
        """Compute the gradients of a sandwich, whose networks are the same in all processes."""
        assert isinstance(self._step, SandwichStep)
        self._step.architectures = self._sandwich()
        loss = self._step.gradients(images, targets, share)
        if self.world.size > 1:
            for parameter in self.module.parameters():
                if parameter.grad is not None:
                    self.world.sum(parameter.grad).div_(self.world.size)
        return loss

    def _sandwich(self) -> list[Architecture]:
        sequence = np.random.SeedSequence([self.seed, _SANDWICH, self.epoch, self.step])
        generator = np.random.default_rng(sequence)
        drawn = [self._drawn(generator) for _ in range(self.networks.random_networks)]
        return [self.plan.largest, self.plan.smallest, *drawn]

    def _drawn(self, generator: np.random.Generator) -> Architecture:
        """Draw a network inside the limits whose strides fit the resolution; the largest if none is found."""
        for _ in range(_TRIES):
            one = self.plan.domain.sample(generator)
            try:
                if one is not None:
                    self.module.network(one)
                    return one
            except InputError:
                continue
        return self.plan.largest


def check_recipe(recipe: Recipe) -> None:
    """Check that a recipe can train a supernet.

    Raises:
        InputError: naming the key.
    """
    if recipe.layer_decay != 1 or recipe.head_rate != 1:
        raise InputError("recipe.layer_decay, recipe.head_rate: a supernet has one learning rate; leave both at 1")
    if recipe.freeze_batch_norm:
        raise InputError("recipe.freeze_batch_norm: a supernet trains its BatchNorms; leave it at false")
