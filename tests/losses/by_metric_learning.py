"""What pytorch-metric-learning has for the numbers of ProxyLoss in test_golden_numbers.py; it and torch are in no environment of the tests.

pip install torch pytorch-metric-learning==2.9.0
python -m tests.losses.by_metric_learning
"""

import importlib

import numpy as np


def vectors_of(count):
    k = np.arange(count)[:, None]
    return np.cos(2 + 1.3 * k + 0.9 * np.arange(8) * (k + 1))


def main():
    torch, losses = importlib.import_module("torch"), importlib.import_module("pytorch_metric_learning.losses")
    i, j = np.arange(12)[:, None], np.arange(8)
    labels = torch.tensor(np.repeat(np.arange(4), 3))
    for name, loss, vectors in (
        ("proxy_nca", losses.ProxyNCALoss(4, 8, softmax_scale=1), "proxies"),
        ("proxy_anchor", losses.ProxyAnchorLoss(4, 8, margin=0.1, alpha=32), "proxies"),
        ("normalized_softmax", losses.NormalizedSoftmaxLoss(4, 8, temperature=0.05), "W"),
        ("soft_triple", losses.SoftTripleLoss(4, 8), "fc"),
        ("soft_triple of 2", losses.SoftTripleLoss(4, 8, centers_per_class=2), "fc"),
        ("soft_triple of 3", losses.SoftTripleLoss(4, 8, centers_per_class=3, la=5, gamma=0.5, margin=0.2), "fc"),
    ):
        learned = getattr(loss.double(), vectors)
        with torch.no_grad():
            of_classes = torch.tensor(vectors_of(learned.numel() // 8))
            learned.copy_(of_classes if vectors == "proxies" else of_classes.T)
        x = torch.tensor(np.sin(1 + 3 * i + 0.7 * j * (i % 5 + 1)), requires_grad=True)
        value = loss(x, labels)
        value.backward()
        print(f"{name}: {value.item():.8f}, {x.grad.norm().item():.6f}, {learned.grad.norm().item():.6f}")


if __name__ == "__main__":
    main()
