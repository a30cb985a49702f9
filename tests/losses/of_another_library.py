"""Losses on pairs by pytorch-metric-learning 2.9.0: `python -m tests.losses.of_another_library` writes of_another_library.json.

It needs that library and torch, which the tests do not: they read the file. Any environment will do that has both and NumPy.
"""

import itertools
import json
from pathlib import Path

import numpy as np

FILE = Path(__file__).with_suffix(".json")

TYPES = ("contrastive", "ntxent", "supcon", "multi_similarity", "circle", "lifted", "margin")
MINING = ("easy", "hard", "semihard", "multi_similarity", "pair_margin")
ONE_OF_EACH = ("easy", "hard", "semihard")

#: The options of each case. The library's margin loss goes by triplets: a pair counts once for each that it is in. Ours goes by pairs.
OPTIONS = [
    *({"type": type} for type in TYPES if type != "margin"),
    *(
        {"type": type, "mining": mining}
        for type, mining in itertools.product(TYPES, MINING)
        if type not in ("lifted", "supcon" if mining in ONE_OF_EACH else "margin")
    ),
    {"type": "contrastive", "pos_margin": 0.3, "neg_margin": 1.5},
    {"type": "ntxent", "temperature": 0.5},
    {"type": "multi_similarity", "alpha": 5.0, "beta": 20.0, "base": 0.2},
    {"type": "circle", "margin": 0.25, "scale": 128.0},
    {"type": "margin", "mining": "semihard", "margin": 0.4, "beta": 1.0},
    {"type": "lifted", "neg_margin": 0.5},
]
#: With a memory of 20: the second call, when it is not yet full, and the third.
WITH_MEMORY = [{"type": type} for type in TYPES if type not in ("lifted", "margin")] + [
    {"type": "contrastive", "mining": "multi_similarity"}
]


def batch(number):
    """Ten embeddings of four classes, of which one comes once."""
    rng = np.random.RandomState(number)
    return rng.randn(10, 6).astype(np.float32), np.array([0, 1, 1, 2, 0, 3, 1, 2, 2, 0])


def described(value, gradient):
    """What the file has of a loss."""
    gradient = np.asarray(gradient, np.float64)
    return [
        float(value),
        float(np.linalg.norm(gradient)),
        float((gradient * np.cos(np.arange(gradient.size).reshape(gradient.shape))).sum()),
    ]


def main():
    import torch
    from pytorch_metric_learning import losses, miners

    def loss_of(type, mining="all", **numbers):
        names = {"temperature": "temperature", "margin": "m" if type == "circle" else "margin", "scale": "gamma"}
        made = {
            "contrastive": losses.ContrastiveLoss, "ntxent": losses.NTXentLoss, "supcon": losses.SupConLoss,
            "multi_similarity": losses.MultiSimilarityLoss, "circle": losses.CircleLoss, "lifted": losses.LiftedStructureLoss,
            "margin": losses.MarginLoss,
        }[type](**{names.get(name, name): number for name, number in numbers.items()})  # fmt: skip
        miner = {
            "easy": lambda: miners.BatchEasyHardMiner("easy", "hard"), "hard": miners.BatchHardMiner,
            "semihard": lambda: miners.BatchEasyHardMiner("easy", "semihard"), "multi_similarity": miners.MultiSimilarityMiner,
            "pair_margin": miners.PairMarginMiner, "all": lambda: None,
        }[mining]()  # fmt: skip
        return made, miner

    def evaluated(loss, number, miner):
        x, labels = batch(number)
        x, labels = torch.tensor(x, dtype=torch.float64, requires_grad=True), torch.tensor(labels)
        value = loss(x, labels) if miner is None else loss(x, labels, miner(x, labels))
        value.backward()
        return described(value.detach(), x.grad)

    found = {"one": [evaluated(loss, 0, miner) for loss, miner in (loss_of(**each) for each in OPTIONS)], "memory": []}
    for options in WITH_MEMORY:
        loss, miner = loss_of(**options)
        memory = losses.CrossBatchMemory(loss, 6, 20, miner).double()
        found["memory"].append([evaluated(memory, number, None) for number in range(4)][1:])
    FILE.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
