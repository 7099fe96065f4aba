"""Predictions per second: the shipped perceptron against gradient-boosted trees, in one run, on one thread.

The 1,500 trees are scikit-learn's and are fitted to 4,000 of our predictions. The published surrogate of the same data
has as many trees, of a different kind.
"""

from __future__ import annotations

import argparse

import numpy as np
from threadpoolctl import threadpool_limits

from nas.evaluate.imagenet.distil import random_genes
from nas.evaluate.imagenet.prediction import shipped_surrogate
from nas.evaluate.imagenet.score import predictions_per_second
from nas.evaluate.imagenet.skeleton import thermometer
from nas.evaluate.imagenet.teachers import Boosting


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trees", type=int, default=1500)
    arguments = parser.parse_args()
    genes = random_genes(4_000, np.random.default_rng(0))
    surrogate = shipped_surrogate()
    trees = Boosting(seeds=1, trees=arguments.trees).fit(thermometer(genes), surrogate.accuracy(genes)[0])
    with threadpool_limits(1):
        ours = predictions_per_second(surrogate.accuracy, genes)
        devices = predictions_per_second(surrogate.device, genes)
        theirs = predictions_per_second(lambda rows: trees.predict(thermometer(rows)), genes)
    print(f"accuracy and its std         {ours:>9,} a second")
    print(f"eight device columns         {devices:>9,} a second")
    print(f"{arguments.trees:,} boosted trees         {theirs:>9,} a second, accuracy alone")
    print(f"ratio                        {ours / theirs:.1f}x")


if __name__ == "__main__":
    main()
