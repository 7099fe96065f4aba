"""The settings of a full training, as plain data with a docstring under every field."""

from __future__ import annotations

from importlib import resources
from typing import Annotated, Any, Literal

from pydantic import Field

from nas.core.documents import parse_yaml, read_yaml
from nas.core.errors import InputError, nearest_name
from nas.core.files import expanded
from nas.core.flag import Flag
from nas.core.section import Section, validated
from nas.evaluate.data.settings import CROP_SHARE
from nas.evaluate.data.view import Interpolation, View

_PHOTOGRAPH = 4 / 3  # width / height
MODERN, TRANSFER, SMALL_IMAGES, FINETUNE, SUPERNET = "modern", "transfer", "small-images", "finetune", "supernet"
SMALL = 64  # largest resolution whose default recipe is that of small images
_MOST_EPOCHS, _MOST_STEPS = 300, 5000  # a training takes at most the larger of the two
_MIXED_EPOCHS, _MIXUP, _CUTMIX = 100, 0.2, 1.0  # from so many epochs on, images are mixed
_FEW_IMAGES, _RATE_OF_FEW, _DECAY_OF_FEW = 20_000, 0.016, 0.05
_LEARNING_RATE_BATCH = 256  # batch size for which recipes state their learning rate


class Recipe(Section):
    """A schedule, an optimizer and an augmentation; ``configs/recipes`` holds ready-made recipes."""

    epochs: Annotated[int, Flag("--epochs", help="Passes over the images (default: the recipe's).")] = Field(
        default=100, ge=1
    )
    """Passes over the training images."""
    batch_size: Annotated[int, Flag("--batch-size", help="Images per step, in total.")] = Field(default=256, ge=1)
    """Images per step, at most, in all processes together; an epoch is split into steps of nearly equal size."""
    micro_batch: int | None = Field(default=None, ge=1)
    """Maximum images at once in each process; gradients are accumulated over the batch. Unset: the whole batch."""
    optimizer: Literal["rmsprop", "sgd", "adamw"] = "adamw"
    """``rmsprop`` is TensorFlow's (decay 0.9, momentum 0.9, epsilon 0.001 inside the root);
    ``sgd`` has Nesterov momentum."""
    learning_rate: float = Field(default=0.001, gt=0)
    """Peak learning rate for a batch of 256 images; for other batch sizes it is scaled in proportion."""
    decay: Literal["exponential", "cosine"] = "cosine"
    """Decay of the learning rate: by ``decay_rate`` every ``decay_epochs``, in steps; or along a cosine to 0."""
    decay_rate: float = Field(default=0.97, gt=0, le=1)
    """Factor of the exponential decay."""
    decay_epochs: float = Field(default=2.4, gt=0)
    """Epochs between two steps of the exponential decay."""
    warmup_epochs: float = Field(default=5.0, ge=0)
    """Epochs in which the learning rate rises from 0; at most a fifth of all epochs."""
    weight_decay: float = Field(default=0.05, ge=0)
    """Weight decay; none on BatchNorm. ``rmsprop`` and ``sgd`` add it to the gradient; in ``adamw`` it is decoupled."""
    decay_biases: bool = False
    """Apply weight decay to biases too, as the papers' code does."""
    clip_norm: float | None = Field(default=None, gt=0)
    """Largest norm of all gradients together; larger gradients are scaled down to it. Unset: no limit."""
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    """Probability mass that is spread over all classes."""
    ema: float | None = Field(default=0.9999, ge=0, lt=1)
    """Decay of a moving average of the weights, which is scored too; ``null``: no moving average."""
    batch_norm_momentum: float | None = Field(default=None, gt=0, le=1)
    """BatchNorm's momentum in PyTorch's definition (TensorFlow's 0.99 is 0.01 here); unset: the network's own."""
    freeze_batch_norm: bool = False
    """Keep BatchNorm's statistics unchanged, for instance when fine-tuning on few images."""
    dropout: float | None = Field(default=None, ge=0, lt=1)
    """Dropout rate in front of the classifier; unset: the network's own, which is higher in larger scaled networks."""
    drop_connect: float | None = Field(default=None, ge=0, lt=1)
    """Drop rate at the end of the linear stochastic-depth ramp; unset: the network's own rate."""
    teacher_weight: float = Field(default=0.5, ge=0, le=1)
    """Weight of a teacher's outputs in the loss; the rest is the labels'. A supernet's largest teaches its others."""
    temperature: float = Field(default=1.0, gt=0)
    """Divides the logits of a teacher and of its network; above 1, improbable classes count more."""
    class_weights: bool = False
    """Weigh each class's images in the loss by the inverse of their number, so that rare classes count as much as
    frequent ones."""
    patience: int | None = Field(default=None, ge=1)
    """End the training after this many epochs without a better validation accuracy; unset: run all epochs."""
    crop: Literal["resized", "padded", "none"] = "resized"
    """``resized``: a random part of the image, scaled to the resolution; ``padded``: a random shift."""
    crop_scale: float = Field(default=0.08, gt=0, le=1)
    """``resized``: the smallest share of the image's area."""
    crop_padding: int = Field(default=4, ge=0)
    """``padded``: the largest shift in pixels."""
    flip: bool | None = None
    """Mirror half of the images; unset: wherever the data allows it."""
    interpolation: Interpolation = "bilinear"
    """Interpolation of ``resized`` crops, and of images when they are scored; EfficientNet's code has ``bicubic``."""
    augment: Literal["none", "auto", "auto-imagenet", "auto-cifar10", "auto-svhn", "rand", "trivial"] = "rand"
    """``auto``: AutoAugment by the table of EfficientNet's code (v0); AutoAugment by the papers' tables for ImageNet,
    CIFAR-10 or SVHN; RandAugment; or TrivialAugment."""
    rand_magnitude: int = Field(default=9, ge=0, le=30)
    """Magnitude of RandAugment, on the scale of its public code: 10 is the end of each operation's range."""
    mixup: float = Field(default=0.0, ge=0)
    """Alpha of mixup; 0 for none. Images are mixed within each process's share of a batch."""
    cutmix: float = Field(default=0.0, ge=0)
    """Alpha of cutmix; 0 for none; if mixup is also set, one of the two is drawn for each batch."""
    layer_decay: float = Field(default=1.0, gt=0, le=1)
    """Ratio of each stage's learning rate to that of the next stage; below 1, early stages learn more slowly."""
    head_rate: float = Field(default=1.0, gt=0)
    """Ratio of the classifier's learning rate to that of the last stage; above 1 in the ``transfer`` recipe."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """``auto``: bf16 or fp16 on GPUs, fp32 on CPUs."""
    deterministic: bool = True
    """Use deterministic GPU kernels wherever PyTorch has them, so that a resumed training continues bit for bit."""
    threads: int | None = Field(default=None, ge=1)
    """CPU threads of each process; unset: all cores, shared evenly."""

    @property
    def peak_learning_rate(self) -> float:
        """Peak learning rate for this batch size."""
        return self.learning_rate * self.batch_size / _LEARNING_RATE_BATCH

    def stored_resolution(self, resolution: int) -> int:
        """Return the side of the square images of a prepared folder that a training at ``resolution`` takes."""
        return round(resolution / self.crop_share)

    @property
    def crop_share(self) -> float:
        """Share of an image's shorter side that is seen when it is scored."""
        return CROP_SHARE if self.crop == "resized" else 1.0

    def views(self, resolution: int) -> tuple[View, View]:
        """Return what is stored of training images, and of validation and test images.

        For ``resized`` crops, training images are stored whole, squeezed into squares, at a side with which a
        photograph of 4:3 has at least the pixels of ``stored_resolution`` along each of its sides.
        """
        held_out = View(resolution, share=self.crop_share, interpolation=self.interpolation)
        if self.crop != "resized":
            return held_out, held_out
        side = round(self.stored_resolution(resolution) * _PHOTOGRAPH)
        return View(side, whole=True, interpolation=self.interpolation), held_out


def epochs_for(recipe: Recipe, affordable: int, images: int) -> Recipe:
    """Return a recipe with the epochs that a time allows, and the regularisation for so many passes over few images.

    Measured on 1,024 images of five classes (docs/worth-it.md): in 60 epochs, twice the rate and five times the weight
    decay of ``small-images`` gain about a point, and mixing of images nothing; in 250 epochs, mixing gains four points.

    Args:
        recipe: the recipe.
        affordable: epochs that the time allows.
        images: number of training images.
    """
    epochs = max(1, min(affordable, most_epochs_for(recipe, images)))
    few = images <= _FEW_IMAGES and recipe.learning_rate < _RATE_OF_FEW
    changes = {"learning_rate": _RATE_OF_FEW, "weight_decay": _DECAY_OF_FEW} if few else {}
    if epochs >= _MIXED_EPOCHS:
        changes |= {"mixup": _MIXUP, "cutmix": _CUTMIX}
    return recipe.model_copy(update={"epochs": epochs, **changes})


def most_epochs_for(recipe: Recipe, images: int) -> int:
    """Return the number of epochs beyond which a training of so many images gains nothing."""
    return max(_MOST_EPOCHS, _MOST_STEPS * recipe.batch_size // images)


def supernet_recipe(resolution: int) -> str:
    """Return the name of the recipe for a supernet."""
    return SUPERNET if resolution <= SMALL else MODERN


def recipe_from_scratch(resolution: int) -> str:
    """Return the name of the recipe for a training that starts from random weights."""
    return SMALL_IMAGES if resolution <= SMALL else MODERN


def finetuning_recipe(resolution: int) -> str:
    """Return the name of the recipe for inherited weights, which have the classes of the images already."""
    return FINETUNE if resolution <= SMALL else TRANSFER


def recipe_names() -> tuple[str, ...]:
    """Return the names of the shipped recipes."""
    files = resources.files("nas.configs").joinpath("recipes").iterdir()
    return tuple(sorted(file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml")))


def load_recipe(reference: str) -> dict[str, Any]:
    """Read a shipped recipe, or a YAML file, as plain values.

    Raises:
        InputError: if there is no such recipe.
    """
    if reference in recipe_names():
        text = resources.files("nas.configs").joinpath("recipes", f"{reference}.yaml").read_text(encoding="utf-8")
        values: dict[str, Any] = parse_yaml(text, reference)
        return values
    if not reference.endswith((".yaml", ".yml")):
        near = nearest_name(reference, recipe_names())
        raise InputError(f"--recipe: expected a shipped recipe or a YAML file, got '{reference}'{near}")
    return read_yaml(expanded(reference))


def make_recipe(values: dict[str, Any], source: str) -> Recipe:
    """Validate a recipe.

    Raises:
        InputError: naming the key that is unknown or wrong.
    """
    return validated(Recipe, values, source)
