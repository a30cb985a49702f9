"""Published behaviour (1): a long-tailed set, trained plain, class-balanced, deferred, and with LDAM and deferred."""

import os
import shutil
from typing import Any, Dict, List, Sequence

from long_tail import EXAMPLE
from runs import Run, prepare_run
from stock_caffe import describe_solver, layer_options

SOLVER = f"{EXAMPLE}/deferred_solver.prototxt"
METHODS = {  # in the published order of their results
    "plain": "plain",
    "class_balanced": "class-balanced",
    "deferred": "deferred",
    "ldam_deferred": "LDAM + deferred",
}
_QUICK: Dict[str, Any] = {"max_iter": 20, "test_interval": 20, "test_iter": [5], "stepvalue": [14, 18]}


def prepare(examples: str, folder: str, seeds: Sequence[int], quick: bool) -> List[Run]:
    """Put the example's nets into the folder, with copies for each method and seed: one net, one solver.

    All are fed as LDAM's net is. Class-balanced and deferred weights are those of that net, from the first iteration on
    where they are not deferred.
    """
    shutil.copytree(os.path.join(examples, EXAMPLE), os.path.join(folder, EXAMPLE))
    ldam = os.path.join(folder, EXAMPLE, "ldam.prototxt")
    data, weight = layer_options(ldam, "train_data"), layer_options(ldam, "weight")
    fields: Dict[str, Any] = {}
    if quick:
        fields = _QUICK
        weight["defer"] = fields["stepvalue"][0]
    nets: Dict[str, Any] = {
        "plain": ("softmax", {}),
        "class_balanced": ("weighted_softmax", {"weight": {**weight, "defer": 0}}),
        "deferred": ("weighted_softmax", {"weight": weight}),
        "ldam_deferred": ("ldam", {"weight": weight}),
    }
    return [
        prepare_run(
            folder,
            method,
            METHODS[method],
            seed,
            f"{EXAMPLE}/{net}.prototxt",
            SOLVER,
            {"train_data": data, **options},
            data["batch_size"],
            **fields,
        )
        for seed in seeds
        for method, (net, options) in nets.items()
    ]


def settings(folder: str, runs: Sequence[Run]) -> Dict[str, Any]:
    """How they were trained, from the files that they were trained by."""
    (ldam, *_) = (run for run in runs if run.method == "ldam_deferred")
    net = os.path.join(folder, ldam.net)
    return {
        "solver": describe_solver(ldam.training.solver),
        "iterations": ldam.training.num_iterations,
        "batch size": layer_options(net, "train_data")["batch_size"],
        "mirror": layer_options(net, "train_data").get("mirror", False),
        "SampleWeight": layer_options(net, "weight"),
        "LDAMLoss": layer_options(net, "loss"),
    }
