"""The stage table: a network as plain data that people can read and edit, and whose cost can be counted.

A table is a stem convolution, stages of identical layers, and a head (MnasNet, arXiv 1807.11626, section 4.1:
only the first layer of a stage applies the stride or changes the channels; EfficientNet, arXiv 1905.11946, Table 1).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, ClassVar, get_args

from nas.core.errors import InputError
from nas.search_spaces.operations import Layer, realise
from nas.search_spaces.parts import STRICT, Activation, Gate, Head, Operation, Skip, Stage, Stem, output_size

_MOST_EXPAND = 1000
MOST = 2**20  # upper limit of every count and size

_MOST_LETTERS = 150  # of a name; files are named after it


@dataclass(frozen=True, slots=True)
class Network:
    """A whole stage table. Impossible tables are refused on construction.

    Attributes:
        resolution: deployment resolution in pixels; MACs are counted at this resolution.
        classes: outputs of the classifier.
        stem: the first convolution.
        stages: the rows of the table.
        head: the layers after the stages.
        name: name of the network.
        drop_connect: rate at the end of the linear stochastic-depth ramp (training only).
        norm_epsilon: epsilon of every BatchNorm.
        norm_momentum: momentum of every BatchNorm, in PyTorch's sense (TensorFlow's 0.99 is 0.01).

    Raises:
        InputError: naming the entry that makes the table impossible.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT
    SHORTHANDS: ClassVar[tuple[str, ...]] = ("width", "activation")
    resolution: int
    classes: int
    stem: Stem
    stages: tuple[Stage, ...]
    head: Head
    name: str = "network"
    drop_connect: float = field(default=0.2, kw_only=True)
    norm_epsilon: float = field(default=1e-3, kw_only=True)
    norm_momentum: float = field(default=0.01, kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "stages", tuple(self.stages))
        if not isinstance(self.name, str) or not self.name.strip():
            raise InputError(f"name: expected a string, got {self.name!r}")
        if any(letter in "/\\" or not letter.isprintable() for letter in self.name):  # files are named after it
            raise InputError(f"name: expected no slashes and no control characters, got {self.name!r:.80}")
        if len(self.name) > _MOST_LETTERS:
            raise InputError(f"name: expected at most {_MOST_LETTERS} letters, got {len(self.name)}")
        _at_least("resolution", self.resolution)
        _at_least("classes", self.classes)
        _rate("drop_connect", self.drop_connect)
        _rate("norm_momentum", self.norm_momentum, high=1.0)
        _rate("head.dropout", self.head.dropout)
        _at_least("head.channels", self.head.channels, 0)
        _at_least("head.hidden", self.head.hidden, 0)
        if not 0 < self.norm_epsilon < 1:
            raise InputError(f"norm_epsilon: expected a number between 0 and 1, got {self.norm_epsilon!r}")
        if not self.stages:
            raise InputError("stages: expected at least one stage, got none")
        _check_part("stem", self.stem, self.resolution)
        size = self.stem_size
        for index, stage in enumerate(self.stages):
            _check_part(f"stages[{index}]", stage, size)
            size = output_size(size, stage.stride)

    def at(self, *, resolution: int | None = None, classes: int | None = None) -> Network:
        """Return this network at another resolution or with another number of classes, as used for proxy training."""
        return replace(self, resolution=resolution or self.resolution, classes=classes or self.classes)

    @property
    def parts(self) -> tuple[Stem | Stage | Head, ...]:
        """Stem, stages and head, in this order."""
        return (self.stem, *self.stages, self.head)

    @property
    def stem_size(self) -> int:
        """Side of the feature map after the stem."""
        return self.stem.out_size(self.resolution)

    def stage_layers(self) -> Iterator[tuple[Layer, ...]]:
        """Yield the realised layers of each stage."""
        channels, size = self.stem.channels, self.stem_size
        for stage in self.stages:
            layers = realise(stage, channels, size)
            yield layers
            channels, size = layers[-1].out_channels, layers[-1].out_size

    def signature(self) -> tuple[object, ...]:
        """Return a key of the built network, which is equal for genotypes that decode to the same network.

        Settings without effect do not change the key, such as a skip that can never apply or an SE ratio that rounds
        to the same width.
        """
        layers = tuple(chain.from_iterable(self.stage_layers()))
        rates = self.drop_connect, self.norm_epsilon, self.norm_momentum
        return (self.resolution, self.classes, self.stem, layers, self.head.identity(), rates)


_WORDS: dict[type, dict[str, tuple[str | None, ...]]] = {
    Stem: {"op": ("conv",), "pool": ("none", "max"), "activation": get_args(Activation)},
    Stage: {
        "op": get_args(Operation),
        "se_base": ("input", "gated"),
        "se_activation": (None, *get_args(Activation)),
        "se_gate": get_args(Gate),
        "skip": get_args(Skip),
        "activation": get_args(Activation),
    },
}


def check_stride(where: str, stride: int, size: int) -> None:
    """Check that the stride is not 2 on a map of one pixel.

    Raises:
        InputError: naming ``where``.
    """
    if stride == 2 and size == 1:
        raise InputError(
            f"{where}.stride: expected 1, got 2 on a 1x1 map; use a higher resolution or fewer strides before it"
        )


def _check_part(where: str, part: Stem | Stage, size: int) -> None:
    _at_least(f"{where}.channels", part.channels)
    _at_least(f"{where}.kernel", part.kernel)
    if part.kernel % 2 == 0:
        raise InputError(f"{where}.kernel: expected an odd number, got {part.kernel}")
    if part.stride not in (1, 2):
        raise InputError(f"{where}.stride: expected 1 or 2, got {part.stride!r}")
    check_stride(where, part.stride, size)
    for word, known in _WORDS[type(part)].items():
        if (value := getattr(part, word)) not in known:
            raise InputError(f"{where}.{word}: expected one of {', '.join(map(str, known))}, got {value!r}")
    if isinstance(part, Stage):
        if not isinstance(part.expand_ratio, (int, float)) or not 0 < part.expand_ratio <= _MOST_EXPAND:
            expected = f"a number above 0 and at most {_MOST_EXPAND}"
            raise InputError(f"{where}.expand: expected {expected}, got {part.expand!r}")
        _at_least(f"{where}.layers", part.layers)
        _rate(f"{where}.se", part.se, high=1.0)


def _at_least(where: str, value: int, least: int = 1) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InputError(f"{where}: expected a whole number of at least {least}, got {value!r}")
    if value > MOST:
        raise InputError(f"{where}: expected at most {MOST:,}, got {value:,}")


def _rate(where: str, value: float, high: float = 0.999) -> None:
    if not isinstance(value, (int, float)) or not 0 <= value <= high:
        raise InputError(f"{where}: expected a number from 0 to {'1' if high == 1 else 'below 1'}, got {value!r}")
