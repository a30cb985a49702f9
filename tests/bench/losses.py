"""Losses, forward and backward on one thread: each against its stock twin in C++, and torch's loss where torch is.

A loss without a twin is compared with the stock loss nearest to it, or with torch alone.
"""

import importlib.util
import math
import tempfile
from typing import Any, Callable, Dict, Iterator, Mapping, NamedTuple, Tuple

import caffe
import numpy as np

from tests.bench.rows import Row, in_turns, milliseconds

Shape = Tuple[int, ...]
Inputs = Dict[str, np.ndarray]

SMALL, WIDE, MAPS, IMAGES = (256, 10), (256, 1000), (128, 21, 64, 64), (8, 21, 256, 256)
SHAPES = (SMALL, WIDE, MAPS, IMAGES)
EMBEDDINGS = (256, 128)


class Contest(NamedTuple):
    """One of our layers, and what it is measured against at some shapes."""

    layer: str  #: its name, and what else says which contest it is
    inputs: Callable[[Any, Shape], Inputs]  #: random generator, shape -> bottoms, those with a gradient first
    shapes: Mapping[Shape, str]  #: with the ratio to reach
    twin: str = ""  #: type of a stock layer, and its parameters
    options: Mapping[str, object] = {}
    torch: str = ""  #: the same in torch, of the bottoms by name
    weighted: bool = False  #: with a weight per sample, that only ours takes
    differentiable: int = 1  #: how many of the bottoms get a gradient
    vectors: bool = False  #: with a learned vector for each class, as many as the last number of the shape

    def name(self, shape: Shape) -> str:
        options = [f"{name}: {value}" for name, value in self.options.items()]
        weighted = ["weighted"] if self.weighted else []
        return " ".join([self.layer, *options, *weighted, "x".join(map(str, shape))])


def _labelled(rng: Any, shape: Shape) -> Inputs:
    labels = rng.integers(0, shape[1], (shape[0], *shape[2:]))
    return {"scores": rng.normal(size=shape), "label": labels}


def _probable(rng: Any, shape: Shape) -> Inputs:
    prob = rng.uniform(size=shape)
    return {"prob": prob / prob.sum(axis=1, keepdims=True), "label": rng.integers(0, shape[1], shape[0])}


def _with_targets(rng: Any, shape: Shape) -> Inputs:
    return {"scores": rng.normal(size=shape), "target": rng.integers(0, 2, shape)}


def _regressed(rng: Any, shape: Shape) -> Inputs:
    return {"prediction": rng.normal(size=shape) * 2, "target": rng.normal(size=shape)}


def _taught(rng: Any, shape: Shape) -> Inputs:
    return {"student": rng.normal(size=shape), "teacher": rng.normal(size=shape)}


def _with_distribution(rng: Any, shape: Shape) -> Inputs:
    each = rng.uniform(size=shape)
    return {"scores": rng.normal(size=shape), "distribution": each / each.sum(axis=1, keepdims=True)}


def _with_matrix(rng: Any, shape: Shape) -> Inputs:
    return {**_labelled(rng, shape), "H": rng.uniform(size=(1, 1, shape[1], shape[1]))}


def _pairs(rng: Any, shape: Shape) -> Inputs:
    features = {name: rng.normal(size=shape) / shape[1] ** 0.5 for name in ("feature", "feature_p")}
    return {**features, "sim": rng.integers(0, 2, shape[0])}


def _triplets(rng: Any, shape: Shape) -> Inputs:
    return {name: _unit(rng.normal(size=shape)) for name in ("anchor", "positive", "negative")}


def _classes_of_four(rng: Any, shape: Shape) -> Inputs:
    return {"embedding": _unit(rng.normal(size=shape)), "label": np.arange(shape[0]) // 4}


def embedded(rng: Any, shape: Shape) -> Inputs:
    """Of shape (N, D, K): embeddings (N, D) and labels of K classes."""
    return {"x": rng.normal(size=shape[:2]), "label": rng.integers(0, shape[2], shape[0])}


def _proxied(rng: Any, shape: Shape) -> Inputs:
    inputs = embedded(rng, shape)
    return {"embedding": inputs["x"], "label": inputs["label"]}


def _unit(x: np.ndarray) -> np.ndarray:
    return np.asarray(x / np.linalg.norm(x, axis=1, keepdims=True))


def _reach(*bounds: float, shapes: Tuple[Shape, ...] = SHAPES) -> Dict[Shape, str]:
    return {shape: f"<= {bound}" for shape, bound in zip(shapes, bounds or [1.5] * len(shapes))}


VECTORS = _reach(shapes=(SMALL, WIDE))
ALONE = {EMBEDDINGS: ""}
SOFTMAX = "SoftmaxWithLoss"
TORCH_HINGE = "F.relu(1 - scores * (2 * F.one_hot(label.long(), scores.shape[1]) - 1))"
TORCH_PAIRS = "(feature - feature_p).square().sum(1)"
TORCH_MINING = (
    "(lambda d, same, no_self: F.relu({}).mean())(torch.cdist(embedding, embedding).square(),"
    "label[:, None] == label[None], ~torch.eye(len(label), dtype=torch.bool))"
)
#: Every (a, p, n): the N x N x N differences of distances, of which those that are triplets are taken.
TORCH_ALL = TORCH_MINING.format(
    "(d[:, :, None] - d[:, None, :] + 0.2)[(same & no_self)[:, :, None] & ~same[:, None, :]]"
)
#: Of every (a, p) the nearest n beyond p, and where that is beyond the margin too the farthest.
TORCH_SEMIHARD = TORCH_MINING.format(
    "(d + 0.2 - (lambda near: torch.where(near < d + 0.2, near, (d - 1e9 * same).amax(1)[:, None]))"
    "(torch.where(~same[:, None, :] & (d[:, None, :] > d[:, :, None]), d[:, None, :], 1e9).amin(2)))[same & no_self]"
)
#: Of every anchor the farthest p and the nearest n.
TORCH_HARD = TORCH_MINING.format("(d - 1e9 * ~same).amax(1) - (d + 1e9 * same).amin(1) + 0.2")
FOCAL = "(lambda l: ((1 - torch.exp(-l)) ** 2 * l).mean())(F.cross_entropy(scores, label.long(), reduction='none'))"
#: With margins of counts 1, 2, 3, ...
LDAM = (
    "F.cross_entropy(scores - torch.zeros_like(scores)"
    ".scatter(1, label.long()[:, None], 0.5 * (1 + label[:, None]) ** -0.25), label.long())"
)

#: Against torch: forks' losses have no twin in stock Caffe.
FORKS = _reach(1.2, 1.2, shapes=(WIDE, IMAGES))
TORCH_WING = (
    "(lambda d: torch.where(d < 10, 10 * torch.log1p(d / 2), d - 10 + 10 * math.log1p(5)).sum() / len(target))"
    "((prediction - target).abs())"
)
TORCH_BALANCED = (
    "(lambda part: F.binary_cross_entropy_with_logits(scores, target, torch.where(target == 1, 1 - part, part), reduction='sum')"
    " / len(scores))(target.flatten(1).mean(1).reshape(-1, *[1] * (target.ndim - 1)))"
)
TORCH_DICE = "(lambda p, t: 1 - (2 * (p * t).sum() + 1e-6) / (p.sum() + t.sum() + 1e-6))({}, {})"

#: Against torch: N embeddings of D numbers, K classes. torch learns the vectors of the classes too.
HEADS = _reach(1, 1, shapes=((256, 128, 1000), (4096, 128, 10000)))
TORCH_ARCFACE = (
    "(lambda c, y, m: F.cross_entropy(64 * c.scatter(1, y[:, None], (lambda t: torch.where(t > -math.cos(m), torch.cos(torch.acos(t) + m),"
    " t - m * math.sin(m)))(c.gather(1, y[:, None]).clamp(-1 + 1e-6, 1 - 1e-6))), y))"
    "(F.normalize(x) @ F.normalize(vectors).T, label.long(), 0.499)"
)
#: Of the cosines c and the labels y.
TORCH_PROXIES = "(lambda c, y: {})(F.normalize(embedding) @ F.normalize(vectors).T, label.long())"
TORCH_ANCHOR = TORCH_PROXIES.format(
    "(lambda own: torch.log1p((torch.exp(-32 * (c - 0.1)) * own).sum(0)).sum() / own.any(0).sum()"
    " + torch.log1p((torch.exp(32 * (c + 0.1)) * ~own).sum(0)).mean())(F.one_hot(y, c.shape[1]).bool())"
)
TORCH_SOFT_TRIPLE = TORCH_PROXIES.format(
    "(lambda c: F.cross_entropy(20 * ((F.softmax(c / 0.1, 2) * c).sum(2) - 0.01 * F.one_hot(y, c.shape[1])), y))(c.reshape(len(c), -1, 10))"
)

CONTESTS = [
    Contest("WeightedSoftmaxLoss", _labelled, _reach(0.8, 0.10, 0.5, 0.5), SOFTMAX,
            torch="F.cross_entropy(scores, label.long())"),
    Contest("WeightedSoftmaxLoss", _labelled, _reach(), SOFTMAX, weighted=True),
    Contest("WeightedSigmoidCrossEntropyLoss", _with_targets, _reach(), "SigmoidCrossEntropyLoss",
            torch="F.binary_cross_entropy_with_logits(scores, target, reduction='sum') / len(scores)"),
    Contest("WeightedSigmoidCrossEntropyLoss", _with_targets, _reach(), "SigmoidCrossEntropyLoss", weighted=True),
    Contest("WeightedEuclideanLoss", _with_targets, _reach(), "EuclideanLoss",
            torch="F.mse_loss(scores, target, reduction='sum') / (2 * len(scores))"),
    Contest("WeightedEuclideanLoss", _with_targets, _reach(), "EuclideanLoss", weighted=True),
    Contest("WeightedHingeLoss", _labelled, VECTORS, "HingeLoss", torch=f"{TORCH_HINGE}.sum() / len(scores)"),
    Contest("WeightedHingeLoss", _labelled, VECTORS, "HingeLoss", weighted=True),
    Contest("WeightedHingeLoss", _labelled, VECTORS, "HingeLoss hinge_loss_param { norm: L2 }", {"norm": "L2"},
            torch=f"{TORCH_HINGE}.square().sum() / len(scores)"),
    Contest("WeightedMultinomialLogisticLoss", _probable, VECTORS, "MultinomialLogisticLoss",
            torch="F.nll_loss(torch.log(prob), label.long())"),
    Contest("WeightedContrastiveLoss", _pairs, VECTORS, "ContrastiveLoss", differentiable=2,
            torch=f"(sim * {TORCH_PAIRS} + (1 - sim) * F.relu(1 - {TORCH_PAIRS}.sqrt()).square()).mean() / 2"),
    Contest("WeightedInfogainLoss", _with_matrix, _reach(), "InfogainLoss",
            torch="-(H[0, 0][label.long()].movedim(-1, 1) * F.log_softmax(scores, 1)).sum(1).mean()"),
    Contest("SoftCrossEntropyLoss", _with_distribution, _reach(), SOFTMAX,
            torch="F.cross_entropy(scores, distribution)"),
    Contest("FocalLoss", _labelled, _reach(), SOFTMAX, torch=FOCAL),
    Contest("LDAMLoss", _labelled, _reach(), SOFTMAX, torch=LDAM),
    Contest("SmoothL1Loss", _regressed, FORKS, torch="F.smooth_l1_loss(prediction, target, reduction='sum') / len(target)"),
    Contest("L1Loss", _regressed, FORKS, torch="F.l1_loss(prediction, target, reduction='sum') / len(target)"),
    Contest("HuberLoss", _regressed, FORKS, torch="F.huber_loss(prediction, target, reduction='sum') / len(target)"),
    Contest("WingLoss", _regressed, FORKS, torch=TORCH_WING),
    Contest("BalancedSigmoidCrossEntropyLoss", _with_targets, FORKS, torch=TORCH_BALANCED),
    Contest("DiceLoss", _with_targets, FORKS, torch=TORCH_DICE.format("torch.sigmoid(scores)", "target")),
    Contest("DiceLoss labels", _labelled, FORKS,
            torch=TORCH_DICE.format("torch.softmax(scores, 1)", "F.one_hot(label.long(), scores.shape[1]).movedim(-1, 1)")),
    Contest("KnowledgeDistillation", _taught, FORKS, options={"temperature": 4},
            torch="F.kl_div(F.log_softmax(student / 4, 1), F.softmax(teacher / 4, 1), reduction='sum') * 16 / (student.numel() / student.shape[1])"),
    Contest("WeightedSigmoidCrossEntropyLoss", _with_targets, FORKS, options={"pos_weight": 3.0},
            torch="F.binary_cross_entropy_with_logits(scores, target, pos_weight=torch.tensor(3.0), reduction='sum') / len(scores)"),
    Contest("TripletLoss", _triplets, ALONE, differentiable=3,
            torch="F.relu((anchor - positive).square().sum(1) - (anchor - negative).square().sum(1) + 0.2).mean()"),
    Contest("BatchTripletLoss", _classes_of_four, ALONE, options={"mining": "all"}, torch=TORCH_ALL),
    Contest("BatchTripletLoss", _classes_of_four, ALONE, options={"mining": "semihard"}, torch=TORCH_SEMIHARD),
    Contest("BatchTripletLoss", _classes_of_four, ALONE, options={"mining": "hard"}, torch=TORCH_HARD),
    Contest("BatchTripletLoss", _classes_of_four, ALONE, options={"mining": "distance"}),
    Contest("MarginSoftmaxLoss", embedded, HEADS, torch=TORCH_ARCFACE, vectors=True),
    Contest("ProxyLoss", _proxied, HEADS, options={"type": "proxy_anchor"}, torch=TORCH_ANCHOR, vectors=True),
    Contest("ProxyLoss", _proxied, HEADS, options={"type": "proxy_nca"}, vectors=True,
            torch=TORCH_PROXIES.format("F.cross_entropy(2 * c - 2, y)")),
    Contest("ProxyLoss", _proxied, HEADS, options={"type": "normalized_softmax"}, vectors=True,
            torch=TORCH_PROXIES.format("F.cross_entropy(c / 0.05, y)")),
    Contest("ProxyLoss", _proxied, _reach(1, shapes=((256, 128, 1000),)), options={"type": "soft_triple", "sub_centers": 10}, vectors=True,
            torch=TORCH_SOFT_TRIPLE),
]  # fmt: skip


def losses() -> Iterator[Row]:
    """Every contest at each of its shapes, and what any Python layer takes."""
    yield _nothing()
    for contest in CONTESTS:
        for shape, reach in contest.shapes.items():
            yield row(contest, shape, reach)


class Nothing(caffe.Layer):
    """A Python layer that does nothing: no loss of ours can take less."""

    def setup(self, bottom: Any, top: Any) -> None: ...

    def reshape(self, bottom: Any, top: Any) -> None:
        top[0].reshape()

    def forward(self, bottom: Any, top: Any) -> None: ...

    def backward(self, top: Any, propagate_down: Any, bottom: Any) -> None: ...


def _nothing() -> Row:
    inputs = _with_targets(np.random.default_rng(0), SMALL)
    python = f'type: "Python"  python_param {{ module: "{__name__}"  layer: "Nothing" }}'
    nets = {"nothing": net_of(python, inputs, 1), "C++": net_of('type: "EuclideanLoss"', inputs, 1)}
    figures = in_turns({name: lambda net=net: milliseconds(net, 100) for name, net in nets.items()})
    return Row(
        "a Python layer that does nothing 256x10",
        f"{figures['nothing']:.3f} ms",
        f"EuclideanLoss in C++: {figures['C++']:.3f} ms",
        figures["nothing"] / figures["C++"],
    )


def ours_in(contest: Contest, shape: Shape, inputs: Inputs, learned: Inputs) -> Tuple[str, Inputs]:
    """Our layer, and its bottoms. learned: gets the vectors of the classes, where it has them."""
    options = dict(contest.options)
    if contest.layer == "LDAMLoss":
        options["counts"] = list(range(1, shape[1] + 1))
    if contest.vectors:
        options["num_output"] = shape[2]
        rows = shape[2] * int(options.get("sub_centers", 1))
        learned["vectors"] = np.random.default_rng(1).normal(size=(rows, shape[1]))
    python = f'python_param {{ module: "caffe_pylayers"  layer: "{contest.layer.split()[0]}"  param_str: "{options}" }}'
    weight = {"sample_weight": np.linspace(0.5, 1.5, shape[0])} if contest.weighted else {}
    return f'type: "Python"  {python}', {**inputs, **weight}


def stock_in(contest: Contest, inputs: Inputs) -> Tuple[str, Inputs]:
    """Its stock twin, and the bottoms of that."""
    twin, _, params = contest.twin.partition(" ")
    known = dict(inputs)
    if "distribution" in known:
        known["distribution"] = known["distribution"].argmax(axis=1)  # SoftmaxWithLoss takes index labels
    return f'type: "{twin}"  {params}', known


def row(contest: Contest, shape: Shape, reach: str) -> Row:
    inputs = contest.inputs(np.random.default_rng(0), shape)
    learned: Inputs = {}
    actions = {"ours": net_of(*ours_in(contest, shape, inputs, learned), contest.differentiable)}
    if contest.twin:
        actions["C++"] = net_of(*stock_in(contest, inputs), contest.differentiable)
    if contest.torch and importlib.util.find_spec("torch"):
        actions["torch"] = _in_torch(contest.torch, {**learned, **inputs}, len(learned) + contest.differentiable)

    repeats = 100 if inputs[next(iter(inputs))].size < 5e5 else 3
    turns = {name: lambda action=action: milliseconds(action, repeats) for name, action in actions.items()}
    figures = in_turns(turns)
    ours = figures.pop("ours")
    return Row(
        contest.name(shape),
        f"{ours:.3f} ms",
        "  ".join(f"{name}: {figure:.3f} ms" for name, figure in figures.items()) or "-",
        ours / next(iter(figures.values()), np.nan),
        reach,
    )


def net_of(layer: str, inputs: Inputs, differentiable: int, behind: str = "") -> Callable[[], object]:
    """One pass through a net of a loss alone, of the bottoms `inputs`. behind: a layer that each bottom with a gradient goes through first."""
    text = bottoms = ""
    for number, (name, array) in enumerate(inputs.items()):
        # As in training, gradients are asked for where something learns, and nowhere else.
        kind = "parameter" if number < differentiable else "input"
        shape = f"{kind}_param {{ shape {{ {' '.join(f'dim: {size}' for size in array.shape)} }} }}"
        text += f'layer {{ name: "{name}"  type: "{kind.title()}"  top: "{name}"  {shape} }}\n'
        if behind and number < differentiable:
            text += f'layer {{ name: "{name}_"  bottom: "{name}"  top: "{name}_"  {behind} }}\n'
            name += "_"
        bottoms += f'bottom: "{name}"  '
    text += f'layer {{ name: "loss"  {layer}  {bottoms} top: "loss"  loss_weight: 1 }}\n'
    with tempfile.NamedTemporaryFile("w", suffix=".prototxt") as file:
        file.write(text)
        file.flush()
        net = caffe.Net(file.name, caffe.TRAIN)
    for name, array in inputs.items():
        blob = net.params[name][0] if name in net.params else net.blobs[name]
        blob.data[...] = array

    def once() -> None:
        net.forward()
        net.backward()

    return once


def _in_torch(expression: str, inputs: Inputs, differentiable: int) -> Callable[[], object]:
    """The loss that `expression` is, and its gradients, by torch on one thread."""
    import torch

    torch.set_num_threads(1)
    tensors = {name: torch.from_numpy(np.asarray(array, np.float32)) for name, array in inputs.items()}
    leaves = [tensor.requires_grad_() for tensor in list(tensors.values())[:differentiable]]
    loss = eval(f"lambda {', '.join(tensors)}: {expression}", {"torch": torch, "F": torch.nn.functional, "math": math})

    def once() -> None:
        for leaf in leaves:
            leaf.grad = None
        loss(**tensors).backward()

    return once
