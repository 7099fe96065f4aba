"""NAME, as plain PyTorch: needs only torch, this file, and ``weights.safetensors`` in the same folder.

    from model import load, preprocess
    model = load()                        # weights.safetensors beside this file
    logits = model(preprocess(pixels))    # pixels: (h, w, 3) uint8, RGB

As a program, ``python model.py [IMAGE]`` prints the five most probable classes of an image (reading it needs Pillow).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

NETWORK: dict[str, Any] = {}

ACTIVATIONS = {"swish": nn.SiLU, "relu": nn.ReLU, "relu6": nn.ReLU6, "hard_swish": nn.Hardswish}
GATES = {"sigmoid": nn.Sigmoid, "hard_sigmoid": nn.Hardsigmoid}
DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64}


def conv(into: int, out: int, kernel: int, stride: int, groups: int, activation: str | None) -> nn.Sequential:
    """Return a convolution, BatchNorm, and an optional activation."""
    layers = [
        nn.Conv2d(into, out, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out, eps=NETWORK["epsilon"]),
    ]
    return nn.Sequential(*layers, *([ACTIVATIONS[activation]()] if activation else []))


class SqueezeExcitation(nn.Module):
    """Channel gates from the pooled map."""

    def __init__(self, channels: int, squeeze: int, activation: str, gate: str) -> None:
        super().__init__()
        self.reduce, self.activation = nn.Conv2d(channels, squeeze, 1), ACTIVATIONS[activation]()
        self.expand, self.gate = nn.Conv2d(squeeze, channels, 1), GATES[gate]()

    def forward(self, maps: Tensor) -> Tensor:
        """Scale the channels of ``(batch, channels, h, w)`` by their gates."""
        pooled = maps.mean((2, 3), keepdim=True)
        gated: Tensor = maps * self.gate(self.expand(self.activation(self.reduce(pooled))))
        return gated


class Block(nn.Module):
    """A layer: a sequence of steps, an optional shortcut around them, and an optional activation."""

    def __init__(self, steps: list[list[Any]], shortcut: list[Any] | None, activation: str | None) -> None:
        super().__init__()
        kinds: dict[str, Any] = {"conv": conv, "se": SqueezeExcitation}
        self.blocks = nn.Sequential(*(kinds[kind](*values) for kind, *values in steps))
        self.shortcut: nn.Module | None = None
        if shortcut is not None:
            kind, *values = shortcut
            shortcuts: dict[str, Any] = {"identity": nn.Identity, "pooling": nn.AvgPool2d, "projection": conv}
            self.shortcut = shortcuts[kind](*values)
        self.activation = ACTIVATIONS[activation]() if activation else nn.Identity()

    def forward(self, maps: Tensor) -> Tensor:
        """Apply the layer to ``(batch, channels, h, w)``."""
        result = self.blocks(maps)
        if self.shortcut is not None:
            result = result + self.shortcut(maps)
        activated: Tensor = self.activation(result)
        return activated


class Model(nn.Module):
    """Maps normalised images ``(batch, 3, h, w)`` to logits ``(batch, classes)``."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(*NETWORK["stem"])
        if NETWORK["stem_pool"]:
            self.stem.append(nn.MaxPool2d(3, 2, 1))
        self.stages = nn.ModuleList(nn.Sequential(*(Block(*layer) for layer in stage)) for stage in NETWORK["stages"])
        self.head = conv(*NETWORK["head"]) if NETWORK["head"] else nn.Sequential()
        hidden = NETWORK["hidden"]
        self.hidden: nn.Module = nn.Identity()
        if hidden:
            self.hidden = nn.Sequential(nn.Linear(hidden[0], hidden[1]), ACTIVATIONS[hidden[2]]())
        self.dropout = nn.Dropout(NETWORK["dropout"])
        self.classifier = nn.Linear(*NETWORK["classifier"])

    def forward(self, images: Tensor) -> Tensor:
        """Return logits."""
        maps = self.stem(images)
        for stage in self.stages:
            maps = stage(maps)
        logits: Tensor = self.classifier(self.dropout(self.hidden(self.head(maps).mean((2, 3)))))
        return logits


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Read a safetensors file: eight bytes with the length of the JSON header, the header, then the tensors' data."""
    content = bytearray(Path(path).read_bytes())
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(bytes(content[8:start]))
    weights = {}
    for name, entry in header.items():
        if name != "__metadata__":
            first, last = (start + offset for offset in entry["data_offsets"])
            values = torch.frombuffer(content, dtype=torch.uint8, count=last - first, offset=first)
            weights[name] = values.clone().view(DTYPES[entry["dtype"]]).reshape(entry["shape"])
    return weights


def load(path: str | Path | None = None) -> Model:
    """Return the model in evaluation mode; the default weights are ``weights.safetensors`` beside this file."""
    model = Model()
    model.load_state_dict(read_weights(path or Path(__file__).with_name("weights.safetensors")))
    return model.eval()


def preprocess(pixels: Tensor) -> Tensor:
    """Convert an image ``(h, w, 3)`` uint8 to the model's input, ``(1, 3, resolution, resolution)``."""
    resolution, side = NETWORK["resolution"], NETWORK["side"]
    image = pixels.permute(2, 0, 1)[None].float()
    scale = side / min(image.shape[2:])
    size = [max(side, round(length * scale)) for length in image.shape[2:]]
    image = functional.interpolate(image, size=size, mode=NETWORK["interpolation"], antialias=True).clamp(0, 255)
    top, left = ((length - resolution) // 2 for length in image.shape[2:])
    image = image[:, :, top : top + resolution, left : left + resolution]
    mean, std = (torch.tensor(NETWORK[key]).reshape(1, 3, 1, 1) for key in ("mean", "std"))
    return (image - mean) / std


def read_image(path: str) -> Tensor:
    """Read an image as ``(h, w, 3)`` uint8, upright; needs Pillow. Deep images are scaled as those of the training."""
    from PIL import Image, ImageOps

    try:
        image = ImageOps.exif_transpose(Image.open(path))
    except OSError as error:
        sys.exit(f"'{path}' cannot be read as an image ({error})")
    if image.mode.startswith(("I", "F")):  # 16 or 32 bits, or floating point
        if NETWORK["pixel_range"] is None:
            sys.exit(f"'{path}' has mode {image.mode}, but the network was trained on images of 8 bits")
        low, high = NETWORK["pixel_range"]
        grey = (image.convert("I") if image.mode.startswith("I") else image).convert("F")
        values = torch.frombuffer(bytearray(grey.tobytes()), dtype=torch.float32).reshape(grey.height, grey.width)
        scaled = ((values - low) * (255 / max(high - low, 1e-12))).round().clamp(0, 255).to(torch.uint8)
        return torch.stack([scaled] * 3, dim=2)
    rgb = image.convert("RGB")
    return torch.frombuffer(bytearray(rgb.tobytes()), dtype=torch.uint8).reshape(rgb.height, rgb.width, 3)


def main() -> None:
    """Classify the image given on the command line, or a grey image."""
    pixels = torch.full((NETWORK["resolution"], NETWORK["resolution"], 3), 128, dtype=torch.uint8)
    if len(sys.argv) > 1:
        pixels = read_image(sys.argv[1])
    else:
        print("No image is given; the classes of a grey image are:")
    with torch.inference_mode():
        chances = load()(preprocess(pixels)).softmax(1)[0]
    names = NETWORK["classes"] or [str(label) for label in range(len(chances))]
    for label in chances.topk(min(5, len(chances))).indices.tolist():
        print(f"{chances[label]:7.2%}  {names[label]}")


if __name__ == "__main__":
    main()
