"""Published behaviour (3): one embedding, trained by every loss on embeddings that there is."""

import os
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

import numpy as np
from fashion import DataSet
from mining import EXAMPLE, SOLVER
from runs import Run, prepare_run
from stock_caffe import answers, describe_solver, layer_options, replace_layer

from caffe_pylayers.evaluation import Evaluation

#: How many of the methods are trained with the other seeds too: the best by MAP@R with the first one.
NUM_BEST = 4
RANK = 1
MEASURES = (f"recall@{RANK}", "MAP@R")
#: The net whose loss is replaced.
_TRUNK = f"{EXAMPLE}/train_val.prototxt"


class Method(NamedTuple):
    """A way to train: its title, the layers behind the embedding, and what another library has found (recall@1, MAP@R)."""

    title: str
    head: str
    elsewhere: Optional[Sequence[float]] = None


def _layer(name: str, options: Dict[str, Any], tops: str = 'top: "loss"  loss_weight: 1', more: str = "") -> str:
    """A layer of ours on embedding and label."""
    return (
        f'layer {{ name: "{name.lower()}"  type: "Python"  bottom: "embedding"  bottom: "label"  {tops}  {more}  include {{ phase: TRAIN }}\n'
        f'  python_param {{ module: "caffe_pylayers"  layer: "{name}"  param_str: "{options}" }} }}\n'
    )


def _softmax(scores: str) -> str:
    return f'layer {{ name: "softmax"  type: "SoftmaxWithLoss"  bottom: "{scores}"  bottom: "label"  top: "softmax"  include {{ phase: TRAIN }} }}\n'


def _scores(name: str, options: Dict[str, Any]) -> str:
    """A layer of ours with a vector per class, and a softmax loss."""
    return _layer(name, options, 'top: "scores"') + _softmax("scores")


def _margin(name: str, options: Dict[str, Any]) -> str:
    """A margin on cosines, times 16, and a softmax loss."""
    return (
        'layer { name: "cos"  type: "Python"  bottom: "embedding"  top: "cos"  include { phase: TRAIN }\n'
        f'  python_param {{ module: "caffe_pylayers"  layer: "NormalizedInnerProduct"  param_str: "{_K}" }} }}\n'
        + _layer(name, options, 'top: "margin"').replace('bottom: "embedding"', 'bottom: "cos"')
        + 'layer { name: "scores"  type: "Power"  bottom: "margin"  top: "scores"  power_param { scale: 16 }  include { phase: TRAIN } }\n'
        + _softmax("scores")
    )


_K = {"num_output": 10}
_NO_DECAY = "param { lr_mult: 1  decay_mult: 0 }"
_CONSTANT = "param { lr_mult: 0  decay_mult: 0 }"
_INNER_PRODUCT = (
    'layer { name: "scores"  type: "InnerProduct"  bottom: "embedding"  top: "scores"  include { phase: TRAIN }\n'
    '  inner_product_param { num_output: 10  weight_filler { type: "msra" } } }\n'
) + _softmax("scores")


def _pairs(kind: str) -> str:
    return _layer("BatchPairLoss", {"type": kind})


def _proxies(kind: str) -> str:
    return _layer("ProxyLoss", {**_K, "type": kind})


METHODS: Dict[str, Method] = {
    "softmax": Method("InnerProduct, SoftmaxWithLoss", _INNER_PRODUCT, (0.8855, 0.717)),
    "center": Method(
        "the same and CenterLoss, 0.01",
        _INNER_PRODUCT
        + _layer("CenterLoss", {**_K, "update": "gradient"}, 'top: "loss"  loss_weight: 0.01', _NO_DECAY),
        (0.8905, 0.747),
    ),
    "cosface": Method(
        "MarginSoftmaxLoss cosface, scale 16",
        _layer("MarginSoftmaxLoss", {**_K, "type": "cosface", "scale": 16}),
        (0.8915, 0.781),
    ),
    "arcface": Method(
        "MarginSoftmaxLoss arcface, scale 16",
        _layer("MarginSoftmaxLoss", {**_K, "type": "arcface", "scale": 16}),
        (0.8822, 0.786),
    ),
    "combined": Method("CombinedMargin, scale 16", _margin("CombinedMargin", {})),
    "sphere": Method("MarginInnerProduct", _scores("MarginInnerProduct", {**_K, "type": "QUADRUPLE"})),
    "large_margin": Method("LargeMarginInnerProduct", _scores("LargeMarginInnerProduct", {**_K, "type": "DOUBLE"})),
    "contrastive": Method("BatchPairLoss contrastive", _pairs("contrastive"), (0.8687, 0.686)),
    "memory": Method(
        "the same, memory 1024",
        _layer("BatchPairLoss", {"type": "contrastive", "memory": 1024}, more=" ".join([_CONSTANT] * 3)),
    ),
    "ntxent": Method("BatchPairLoss ntxent", _pairs("ntxent"), (0.8889, 0.792)),
    "supcon": Method("BatchPairLoss supcon", _pairs("supcon"), (0.8828, 0.787)),
    "multi_similarity": Method("BatchPairLoss multi_similarity", _pairs("multi_similarity"), (0.8884, 0.783)),
    "circle": Method("BatchPairLoss circle", _pairs("circle"), (0.8858, 0.758)),
    "lifted": Method("BatchPairLoss lifted", _pairs("lifted"), (0.8600, 0.738)),
    "margin": Method("BatchPairLoss margin", _pairs("margin")),
    "lifted_raw": Method("LiftedStructSimilaritySoftmaxLoss", _layer("LiftedStructSimilaritySoftmaxLoss", {})),
    "proxy_nca": Method("ProxyLoss proxy_nca", _proxies("proxy_nca")),
    "proxy_anchor": Method("ProxyLoss proxy_anchor", _proxies("proxy_anchor"), (0.8799, 0.725)),
    "normalized_softmax": Method("ProxyLoss normalized_softmax", _proxies("normalized_softmax"), (0.8820, 0.687)),
    "soft_triple": Method("ProxyLoss soft_triple", _proxies("soft_triple")),
}


def prepare(folder: str, seeds: Sequence[int], methods: Sequence[str], iterations: Optional[int]) -> List[Run]:
    """Write nets and solvers for each method and seed into the folder, which has those of `mining`. iterations: fewer than the solver's."""
    num_images = _images(folder)
    fields: Dict[str, Any] = {"max_iter": iterations} if iterations else {}
    runs = []
    for method in methods:
        net = f"{EXAMPLE}/by_{method}.prototxt"
        replace_layer(os.path.join(folder, _TRUNK), os.path.join(folder, net), "loss", METHODS[method].head)
        for seed in seeds:
            title = METHODS[method].title
            runs.append(prepare_run(folder, method, title, seed, net, SOLVER, {}, num_images, **fields))
    return runs


def evaluate(run: Run, folder: str, dataset: DataSet) -> Dict[str, Any]:
    """How well the test images find their class by the embedding of one run."""
    (embedding,) = answers(run.net, run.training.weights, folder, ["embedding"], len(dataset.test_labels))
    found = Evaluation(embedding, dataset.test_labels).retrieval(at=(RANK,))
    return {
        MEASURES[0]: found.recall[RANK],
        MEASURES[1]: found.map_at_r,
        "seconds": round(run.training.seconds, 1),
        "final loss": run.training.curve[-1][1],
    }


def best(found: Dict[str, List[Dict[str, Any]]]) -> List[str]:
    """The methods that are best by MAP@R."""
    means = {method: np.mean([run[MEASURES[1]] for run in runs]) for method, runs in found.items()}
    return sorted(means, key=lambda method: -means[method])[:NUM_BEST]


def settings(folder: str, run: Run) -> Dict[str, Any]:
    """How they were trained, from the files that they were trained by."""
    return {
        "solver": describe_solver(run.training.solver),
        "iterations": run.training.num_iterations,
        "images a batch": _images(folder),
    }


def _images(folder: str) -> int:
    data = layer_options(os.path.join(folder, _TRUNK), "train_data")
    return int(data["classes_per_batch"] * data["samples_per_class"])
