"""Time spent in the controllers themselves, compared with random search in one run.

    OMP_NUM_THREADS=1 python -m benchmarks.controller_time

Each controller proposes 1,000 trials in batches of 25, on one thread. The problem is the 28-gene space inside a band
of MACs. The time of the evaluations is not included. The state is taken after every batch, as a search does.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np

from benchmarks.players import trial_of
from benchmarks.problems import load_problem
from nas.controllers.registry import CONTROLLERS, make_controller


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=25)
    parser.add_argument("--controllers", default=",".join([*CONTROLLERS, "optuna:TPESampler"]))
    arguments = parser.parse_args()
    problem = load_problem("imagenet-hard-400M")
    random_ms, noise = None, np.random.default_rng(0)
    print(f"{'controller':<20}{'ms a trial':>12}{'the last 100':>14}{'state, ms':>11}{'times random':>14}")
    for name in arguments.controllers.split(","):
        controller = make_controller(name, problem.task, 0, {})
        spent, saving, done = [], [], 0
        while done < arguments.trials:
            start = time.perf_counter()
            proposed = controller.ask(arguments.batch)
            asked = time.perf_counter()
            json.dumps(controller.state_dict())
            saved = time.perf_counter()
            trials = [trial_of(problem, done + place, one, noise) for place, one in enumerate(proposed)]
            told = time.perf_counter()
            controller.tell(trials)
            spent.append(asked - start + time.perf_counter() - told)
            saving.append(saved - asked)
            done += len(proposed)
        each = 1e3 * sum(spent) / done
        random_ms = random_ms or each
        last = 1e3 * float(np.mean(spent[-(100 // arguments.batch) :])) / arguments.batch
        state = 1e3 * sum(saving) / done
        print(f"{name:<20}{each:>12.2f}{last:>14.2f}{state:>11.2f}{each / random_ms:>14.1f}", flush=True)


if __name__ == "__main__":
    main()
