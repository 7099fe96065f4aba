"""Names of files of weights, which are needed without PyTorch too."""

WEIGHTS = "weights.safetensors"
"""The weights of a training's network, or the inherited weights of a search's baseline, in its folder."""
