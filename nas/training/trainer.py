"""The training of one network, which can be resumed after any step without changing the result.

Every random draw of a step comes from generators that are seeded by the run's seed, the epoch and the step. No random
state has to be saved, and a resumed training continues bit for bit (unless memory ran out on the way). Orders, crops,
mirrors and policies are drawn for the whole batch, so that they do not depend on the number of processes. Mixup, cutmix
and dropout are drawn in each process.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from nas.core.callback import Callback
from nas.core.errors import InputError, WorkError
from nas.evaluate.data.image_data import ImageData
from nas.evaluate.predictions import Predictions
from nas.evaluate.proxy.augmentation import mix
from nas.evaluate.proxy.distillation import Distillation, Teacher
from nas.evaluate.proxy.images import Images, Normalisation
from nas.evaluate.proxy.loop import predict
from nas.evaluate.proxy.optimizers import moving_average, set_batch_norm_momentum
from nas.evaluate.proxy.precision import choose_precision
from nas.evaluate.proxy.small_maps import use_small_maps
from nas.evaluate.proxy.step import EagerStep, class_weights
from nas.search_spaces.module import NetworkModule
from nas.training import crops
from nas.training.checkpoint import Checkpoint, pack, unpack
from nas.training.crops import centre_crop
from nas.training.history import column, epochs_since_best
from nas.training.recipe import Recipe
from nas.training.schedule import make_optimizer, parameter_groups, rate_factor, set_rates
from nas.training.score import Score, score
from nas.training.world import World

_log = logging.getLogger(__name__)
_ORDER, _STEP = 11, 12  # the purposes of the seeds


ModuleType = TypeVar("ModuleType", bound=nn.Module)


class Trainer(Generic[ModuleType]):
    """Trains one network.

    Args:
        module: the network, on its device and in channels_last format.
        data: the images, stored at ``recipe.stored_resolution(resolution)`` pixels.
        recipe: the settings of the training.
        resolution: resolution of the network's input, in pixels.
        normalisation: mean and std of each channel in 0..255; ``None``: they are measured on the training images.
        seed: seed of every random draw.
        world: the processes that train together.
        metric: metric of the best epoch.
        teacher: a network from whose outputs the module learns too, which takes pixels in 0..255; ``None``: it learns
            from the labels alone.

    Attributes:
        epoch: number of finished epochs.
        step: number of finished steps of the current epoch.
        history: one row for each finished epoch.
        stopped: why the training ended before its last epoch; empty if it did not.

    Raises:
        InputError: if a batch has fewer than 2 images for each process.
    """

    def __init__(
        self,
        module: ModuleType,
        data: ImageData,
        recipe: Recipe,
        resolution: int,
        normalisation: tuple[tuple[float, ...], tuple[float, ...]] | None = None,
        seed: int = 0,
        world: World = World(),  # noqa: B008 (frozen)
        metric: str = "accuracy",
        teacher: Teacher | None = None,
    ) -> None:
        batches = math.ceil(len(data.train.labels) / recipe.batch_size)
        images = len(data.train.labels) // batches  # of the smallest step: an epoch is split nearly evenly
        if images < 2 * world.size:
            raise InputError(
                f"recipe.batch_size: {images} images are too few for {world.size} processes; BatchNorm needs 2 in each"
            )
        recipe = recipe.model_copy(update={"batch_size": images})  # the learning rate depends on the images of a step
        self.module, self.data, self.recipe, self.resolution = module, data, recipe, resolution
        self.metric, self._teacher = metric, teacher
        self.seed, self.world, self.device = seed, world, next(module.parameters()).device
        self._train = Images.load(data.train, self.device)
        self.normalise = (
            Normalisation.measure(self._train) if normalisation is None else _normalisation(*normalisation, self.device)
        )
        self.epoch, self.step = 0, 0
        self.history: list[dict[str, Any]] = []
        self.stopped = ""
        self._loss_sum, self._seconds = 0.0, 0.0
        if self.device.type == "cpu":
            use_small_maps(module)
        if recipe.batch_norm_momentum is not None:
            set_batch_norm_momentum(module, recipe.batch_norm_momentum)
        self.precision = choose_precision(recipe, self.device)
        self.optimizer = make_optimizer(self._parameter_groups(), recipe)
        self.average = None if recipe.ema is None else moving_average(module, recipe.ema)
        weights = class_weights(data.train.labels, len(data.classes)).to(self.device) if recipe.class_weights else None
        self._step = self._make_step(weights)
        self._flips = data.mirrored if recipe.flip is None else recipe.flip
        self._batches = batches

    def run(
        self,
        callback: Callback,
        save: Callable[[], None],
        is_over: Callable[[], bool],
        save_every_s: float = 600.0,
        is_due: Callable[[], bool] = lambda: False,
    ) -> None:
        """Run the remaining epochs, unless the recipe's patience or the time ends the training before.

        Args:
            callback: observes the training.
            save: writes a checkpoint; called after every epoch, and every ``save_every_s`` seconds within an epoch.
            is_over: returns whether to save and stop now; called after every step.
            save_every_s: seconds between checkpoints within an epoch.
            is_due: returns whether the time is used up; called after every epoch.

        Raises:
            KeyboardInterrupt: if ``is_over`` returned True, after saving.
            WorkError: if the loss is no longer finite; the last checkpoint is kept.
        """
        self.stopped = self._stops(lambda: False) if self.history else ""
        while self.epoch < self.recipe.epochs and not self.stopped:
            self._run_epoch(callback, save, is_over, save_every_s)
            self.history.append(self._row())
            self.epoch, self.step, self._loss_sum = self.epoch + 1, 0, 0.0
            save()
            callback.epoch_finished(self.history[-1])
            self.stopped = self._stops(is_due)
            if self.stopped:
                return
            if self._agreed(is_over()) and self.epoch < self.recipe.epochs:
                raise KeyboardInterrupt

    def time_steps(self, count: int) -> int:
        """Run training steps outside any epoch, for an estimate of their time; return the images of the steps."""
        order = torch.randperm(len(self._train), generator=self._generator(_ORDER, 0)).tensor_split(self._batches)
        self._set_mode()
        some = [order[place % self._batches] for place in range(count)]
        for places in some:
            self._train_on(places)
        return sum(len(places) for places in some)

    def _parameter_groups(self) -> list[dict[str, Any]]:
        """Return the optimizer's groups of parameters."""
        assert isinstance(self.module, NetworkModule)
        return parameter_groups(self.module, self.recipe)

    def _make_step(self, weights: Tensor | None) -> EagerStep:
        """Return the training step, with the weight of each class; processes average their gradients in it."""
        module = self.module if self.world.size == 1 else DistributedDataParallel(self.module)
        return EagerStep(module, self.optimizer, *self._step_settings(weights, self.recipe.clip_norm))

    def _step_settings(self, weights: Tensor | None, most_norm: float | None) -> tuple[Any, ...]:
        """Return the arguments of a step after its module and its optimizer."""
        recipe, classes = self.recipe, len(self.data.classes)
        distillation = Distillation(recipe.teacher_weight, recipe.temperature)
        teacher = None if self._teacher is None else self._teacher_logits
        return recipe, classes, self.precision, weights, most_norm, teacher, distillation

    def _teacher_logits(self, images: Tensor) -> Tensor:
        """Return the teacher's logits for normalised images."""
        assert self._teacher is not None
        mean, scale = (one[:, None, None] for one in (self.normalise.mean, self.normalise.scale))
        return self._teacher(images / scale + mean)

    def _gradients(self, images: Tensor, targets: Tensor, share: float) -> Tensor:
        """Compute the gradients of this process's part of a batch, and average them over the processes."""
        return self._step.gradients(images, targets, share)

    def _stops(self, is_due: Callable[[], bool]) -> str:
        """Return why the training ends before its last epoch; empty if it goes on."""
        if self.epoch >= self.recipe.epochs:
            return ""
        patience = self.recipe.patience
        if patience is not None and epochs_since_best(self.history, self.metric) >= patience:
            return f"no better validation {self.metric.replace('_', ' ')} for {patience} epochs"
        return "the time was used up" if self._agreed(is_due()) else ""

    def predictions(self, part: str) -> Predictions:
        """Return the predictions of the weights (not of their average) for a split of the images."""
        images = Images.load(getattr(self.data, part), self.device)
        return predict(
            self.module,
            images,
            self.normalise,
            len(self.data.classes),
            self.precision,
            lambda pixels: centre_crop(pixels, self.resolution),
        )

    def scores(self, part: str) -> dict[str, Score]:
        """Score the weights (``raw``) and their average (``ema``) on a split of the images."""
        images = Images.load(getattr(self.data, part), self.device)
        self._share_buffers()
        modules: dict[str, nn.Module] = {"raw": self.module}
        if self.average is not None:
            modules["ema"] = self.average.module
        return {
            name: score(module, images, self.normalise, self.resolution, self.precision, self.world)
            for name, module in modules.items()
        }

    def tensors(self, which: str) -> dict[str, Tensor]:
        """Return the weights (``raw``) or their average (``ema``)."""
        module = self.module if which == "raw" or self.average is None else self.average.module
        state: dict[str, Tensor] = module.state_dict()
        return state

    @property
    def normalisation(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and std of each channel, in 0..255."""
        return tuple(self.normalise.mean.tolist()), tuple((1 / self.normalise.scale).tolist())

    def state(self) -> Checkpoint:
        """Return the complete state of the training."""
        optimizer = self.optimizer.state_dict()["state"]
        groups = {
            "module": self.module.state_dict(),
            "average": {} if self.average is None else self.average.state_dict(),
            "optimizer": {f"{index}/{name}": value for index, own in optimizer.items() for name, value in own.items()},
            "normalise": {"mean": self.normalise.mean, "scale": self.normalise.scale},
        }
        values = {
            "epoch": self.epoch,
            "step": self.step,
            "history": self.history,
            "loss_sum": self._loss_sum,
            "seconds": self._seconds,
            "micro_batch": self._step.micro_batch,
            "scaler": self._step.scaler.state_dict() if self._step.scaler else {},
        }
        return Checkpoint(pack(groups), values)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Restore the training to the state in a checkpoint."""
        tensors, values = checkpoint.tensors, checkpoint.values
        self.module.load_state_dict(unpack(tensors, "module"))
        if self.average is not None:
            self.average.load_state_dict(unpack(tensors, "average"))
        state: dict[int, dict[str, Tensor]] = {}
        for key, tensor in unpack(tensors, "optimizer").items():
            index, _, name = key.partition("/")
            state.setdefault(int(index), {})[name] = tensor
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})
        normalise = {name: tensor.to(self.device) for name, tensor in unpack(tensors, "normalise").items()}
        self.normalise = Normalisation(**normalise)
        self.epoch, self.step, self.history = values["epoch"], values["step"], list(values["history"])
        self._loss_sum, self._seconds = values["loss_sum"], values["seconds"]
        self._step.micro_batch = values["micro_batch"]
        if self._step.scaler and values["scaler"]:
            self._step.scaler.load_state_dict(values["scaler"])

    def _run_epoch(
        self, callback: Callback, save: Callable[[], None], is_over: Callable[[], bool], save_every_s: float
    ) -> None:
        order = torch.randperm(len(self._train), generator=self._generator(_ORDER, 0))
        batches = order.tensor_split(self._batches)
        self._set_mode()
        saved = told = time.monotonic()
        done = 0
        while self.step < self._batches:
            start = time.monotonic()
            self._loss_sum += self._train_on(batches[self.step])
            self.step += 1
            done += len(batches[self.step - 1])
            now = time.monotonic()
            self._seconds += now - start
            if now - told > 0.2 or self.step == self._batches:
                callback.step_finished(
                    self.epoch, self.step, self._batches, self._loss_sum / self.step, done / (now - saved)
                )
                told = now
            if self.step == self._batches:
                return
            if self._agreed(is_over()):
                save()
                raise KeyboardInterrupt
            if now - saved > save_every_s:
                save()
                saved, done = time.monotonic(), 0

    def _train_on(self, places: Tensor) -> float:
        """Train on one batch and return its mean loss.

        Raises:
            WorkError: if it is not finite.
        """
        recipe, world = self.recipe, self.world
        set_rates(self.optimizer, recipe.peak_learning_rate * rate_factor(recipe, self._progress(0.5)))
        own = world.share(len(places))
        side = int(self._train.pixels.shape[1])
        aspects = None if self._train.aspects is None else self._train.aspects[places]
        draws = crops.draw(len(places), side, self.resolution, recipe, self._flips, self._generator(_STEP, 0), aspects)
        pixels, labels = self._train.batch(places[own])
        images = self.normalise(crops.apply(pixels, draws.of(own), self.resolution, recipe))
        generator = self._generator(_STEP, 1 + world.rank)
        images, targets = mix(images, labels, len(self.data.classes), recipe, generator)
        seed = int(torch.randint(2**62, (), generator=generator))  # of dropout and drop-connect
        share = len(labels) * world.size / len(places)
        loss = self._survive(images, targets, share, seed).double() * (len(labels) / len(places))
        self._step.update()
        if self.average is not None:
            self.average.update_parameters(self.module)
        value = world.sum(loss).item()
        self._check_finite(value, f"in step {self.step + 1}")
        return float(value)

    def _survive(self, images: Tensor, targets: Tensor, share: float, seed: int) -> Tensor:
        """Compute the gradients; if memory runs out, retry with smaller and smaller micro-batches.

        Raises:
            WorkError: if not even one image at a time fits, memory runs out in one of several processes, or
                BatchNorm has too few values.
        """
        while True:
            torch.manual_seed(seed)
            try:
                return self._gradients(images, targets, share)
            except ValueError as error:
                if "more than 1 value per channel" not in str(error):
                    raise
                raise WorkError(
                    "BatchNorm needs more than one value per channel: use more images at once (recipe.batch_size, "
                    "recipe.micro_batch) or a larger --resolution"
                ) from None
            except torch.OutOfMemoryError:
                smaller = math.ceil((self._step.micro_batch or len(images)) / 2)
                if len(images) < 2 or self._step.micro_batch == 1 or self.world.size > 1:
                    raise WorkError(
                        f"out of memory with {self._step.micro_batch or len(images)} images at once; give --set "
                        "recipe.micro_batch=N with a smaller N, or a smaller --resolution"
                    ) from None
                _log.warning("out of memory: micro-batches of at most %d images are used from now on", smaller)
                self._step.micro_batch = smaller
                torch.cuda.empty_cache()

    def _row(self) -> dict[str, Any]:
        """Return the row of an epoch for the history."""
        row: dict[str, Any] = {
            "epoch": self.epoch + 1,
            "learning_rate": self.recipe.peak_learning_rate * rate_factor(self.recipe, self._progress(-0.5)),
            "loss": self._loss_sum / self._batches,
        }
        for name, found in self.scores("validation").items():
            self._check_finite(found.loss, "on the validation images")
            own = column(self.metric)
            row |= {f"{name}_{one}": getattr(found, one) for one in dict.fromkeys(("top1", "top5", own, "loss"))}
        return row | {"seconds": round(self._seconds, 3)}

    def _check_finite(self, loss: float, where: str) -> None:
        if not math.isfinite(loss):
            raise WorkError(
                f"the training diverged: the loss was {loss} {where} of epoch {self.epoch + 1}; train again with "
                "another --out and a lower learning rate (--set recipe.learning_rate=...), or recipe.precision=fp32"
            )

    def _share_buffers(self) -> None:
        """Copy the leading process's BatchNorm statistics, which are the saved ones, to every process."""
        if self.world.size > 1:
            for module in (self.module, self.average):
                for buffer in () if module is None else module.buffers():
                    torch.distributed.broadcast(buffer, 0)

    def _progress(self, steps: float = 0.0) -> float:
        """Return the epochs that are done after ``steps`` more steps; 0.5 is the middle of the current step."""
        return self.epoch + (self.step + steps) / self._batches

    def _generator(self, purpose: int, number: int) -> torch.Generator:
        """Return the generator of one purpose in this step; the generator of the order depends on the epoch alone."""
        step = self.step if purpose == _STEP else 0
        sequence = np.random.SeedSequence([self.seed, purpose, self.epoch, step, number])
        return torch.Generator().manual_seed(int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1)))

    def _set_mode(self) -> None:
        self.module.train()
        if self.recipe.freeze_batch_norm:
            for part in self.module.modules():
                if isinstance(part, nn.BatchNorm2d):
                    part.eval()

    def _agreed(self, wish: bool) -> bool:
        """Return whether any process wishes to stop, so that all processes stop after the same step."""
        if self.world.size == 1:
            return wish
        return bool(self.world.sum(torch.tensor(float(wish), device=self.device)) > 0)


def _normalisation(mean: tuple[float, ...], std: tuple[float, ...], device: torch.device) -> Normalisation:
    return Normalisation(torch.tensor(mean, device=device), 1 / torch.tensor(std, device=device))
