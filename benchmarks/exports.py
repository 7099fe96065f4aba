"""Export every reference network, load the files in fresh processes, and print the largest differences of logits.

    python -m benchmarks.exports [--networks NAME ...] [--formats onnx,pt2]

The weights are initial weights with every tensor perturbed, including BatchNorm's statistics, so that no tensor has a
value that would hide an error.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import torch

from nas.export.export import available_formats, export
from nas.scale.find_network import find_network, thing_names
from nas.search_spaces.module import build
from nas.search_spaces.network import Network
from nas.weights.file import Weights


def moved_weights(network: Network) -> Weights:
    """Return initial weights with every tensor perturbed, so that no tensor has a value that would hide an error."""
    generator = torch.Generator().manual_seed(0)
    tensors = {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        initial = build(network).state_dict()
    for name, tensor in initial.items():
        noise = torch.rand(tensor.shape, generator=generator)
        moved = tensor + 0.1 * (noise - 0.5) if name.endswith(("bias", "mean")) else tensor * (0.9 + 0.2 * noise)
        tensors[name] = moved if tensor.is_floating_point() else tensor
    return Weights(network, tensors, (), origin="moved initial weights")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="*", default=thing_names())
    parser.add_argument("--formats", default="")
    options = parser.parse_args()
    print(f"{'network':<22}{'format':<14}{'largest difference':>20}{'largest logit':>18}{'relative':>12}")
    worst: dict[str, float] = {}
    for name in options.networks:
        network = find_network(name)
        kinds = options.formats.split(",") if options.formats else available_formats(network)
        with tempfile.TemporaryDirectory() as folder:
            for one in export(network, moved_weights(network), kinds, Path(folder)):
                relative = one.difference / one.scale
                worst[one.kind] = max(worst.get(one.kind, 0.0), relative)
                print(f"{name:<22}{one.kind:<14}{one.difference:>20.2e}{one.scale:>18.3g}{relative:>12.1e}", flush=True)
    print("largest relative difference: " + ", ".join(f"{kind} {value:.1e}" for kind, value in worst.items()))


if __name__ == "__main__":
    main()
