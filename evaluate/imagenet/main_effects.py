"""Average effect of each choice on the measured accuracy, with its uncertainty."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.evaluate.imagenet.skeleton import Genes, thermometer


def main_effects(genes: Genes, top1: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Regress top-1 in percent on the features by least squares.

    Returns:
        ``effects.points`` ``(43,)``: change of top-1 for one step up a gene's options, all else equal and averaged over
        the measured networks; ``effects.covariance`` ``(43, 43)``, robust to unequal noise (White 1980, HC1).
    """
    features = np.concatenate([np.ones((len(genes), 1)), thermometer(genes)], axis=1).astype(np.float64)
    inverse = np.linalg.pinv(features.T @ features)
    weights = inverse @ features.T @ top1
    weighted = features * (top1 - features @ weights)[:, None]
    freedom = len(genes) / max(len(genes) - features.shape[1], 1)
    covariance = freedom * inverse @ weighted.T @ weighted @ inverse
    return {
        "effects.points": weights[1:].astype(np.float32),
        "effects.covariance": covariance[1:, 1:].astype(np.float32),
    }
