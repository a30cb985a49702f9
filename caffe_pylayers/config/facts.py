"""What is true of a layer, besides its options: its class of options says it, and nothing else does."""

from typing import Any, ClassVar, Dict, Iterator, Mapping, NamedTuple, Optional, Sequence, Tuple, Type

from pydantic import BaseModel

from caffe_pylayers.config.remarks import Remark
from caffe_pylayers.config.sizes import Shapes, Sizes

#: Fields of forks that choose an implementation, or have no effect there.
_WITHOUT_EFFECT = ("engine", "transform_test")


class Kept(NamedTuple):
    """What a layer keeps in blobs that travel in snapshots, and that the solver must leave alone."""

    option: str  #: by which it does
    blobs: int  #: how many, its last ones
    what: str
    text: str  #: the option, in words


class Facts(BaseModel):
    """The facts, as those of a layer with nothing special: a class of options says what is otherwise."""

    #: The bottoms that the layer takes and the tops that it gives, in order; "[x]" for one that may be missing. A bottom
    #: `label` has numbers of classes, as many as `scores` or `prob` before it; a first top `loss` is a loss.
    takes: ClassVar[Tuple[str, ...]] = ()
    gives: ClassVar[Tuple[str, ...]] = ()
    #: The numbers of a top that are not all of one kind, in order: their names, and what each is.
    holds: ClassVar[Dict[str, Dict[str, str]]] = {}
    #: The layer of Caffe that it equals without weights, of which what is said here is true too.
    twin: ClassVar[str] = ""
    #: Whether forks of Caffe have a type of its own name; and the other types of forks that it stands for.
    fork_type: ClassVar[bool] = False
    forks: ClassVar[Tuple[str, ...]] = ()
    #: Types of Caffe's that are this layer in a fork, each with the fields of its parameters by which they are known.
    fork_fields: ClassVar[Dict[str, Tuple[str, ...]]] = {}
    #: Types of Caffe's that may be this layer in a fork, each with the types beside which they are doubtful.
    fork_beside: ClassVar[Dict[str, Tuple[str, ...]]] = {}
    #: The layer that a fork's layer of its name is if it has neither fields nor a blob, if that is another one.
    without_blob: ClassVar[Optional[Type["Facts"]]] = None
    #: A type of Caffe's, and a field that only forks have where it is that one.
    without_blob_beside: ClassVar[Tuple[str, str]] = ("", "")
    #: The type of Caffe's that it has inside for its first bottoms, and for how many, so that none stands before them.
    inside: ClassVar[str] = ""
    num_inside: ClassVar[int] = 1
    #: Whether its bottom `target` may have numbers of classes too: fewer than there are scores.
    target_or_label: ClassVar[bool] = False
    #: Whether targets that are neither 0 nor 1 are left out.
    leaves_out_others: ClassVar[bool] = False
    #: Whether its first top has numbers of its first bottom, all or some, or such as lie between them (`mixes`).
    keeps_values: ClassVar[bool] = False
    #: What its first blob is, in words, if weight decay spoils it: it is no weight, but a place.
    places: ClassVar[str] = ""
    #: What it may keep, by an option that it has. The first one that is set counts.
    may_keep: ClassVar[Tuple[Kept, ...]] = (Kept("resume", 1, "position", "'resume': True"),)
    #: What makes its nodes in ONNX, a function of commands/export/onnx/own.py by name; "" where nothing does.
    onnx: ClassVar[str] = ""
    #: The page in docs that has more about the layer.
    page: ClassVar[str] = "losses.md"
    #: What is wrong if a test has another number of batches than its `restart_every`.
    if_restart_differs: ClassVar[str] = "a test does not begin at the first batch"
    #: The options of the layer to copy that `describe` and docs/layers.md show: what is required, what most nets want.
    example: ClassVar[Dict[str, Any]] = {}

    @classmethod
    def options_of_fork(cls, kind: str, params: Mapping[str, Mapping[str, Any]]) -> Dict[str, Any]:
        """The options that the parameters of a fork's layer of this type say, {'norm_param': {'eps': 1}}.

        A field that is no option keeps its name. Raises ConfigError if they say something that no option says.
        """
        return {
            name: value for fields in params.values() for name, value in fields.items() if name not in _WITHOUT_EFFECT
        }

    @classmethod
    def meant_by_fork(cls, kind: str, bottoms: int) -> Dict[str, Any]:
        """The options that a fork's layer of this type, with so many bottoms, means without saying so."""
        return {}

    @classmethod
    def in_place_of_fork(cls, bottoms: int, has_fields: bool) -> str:
        """What to write where a fork's layer of the same name is another layer; "" where it is this one.

        It is told by how many bottoms it has, and by whether it has a parameter with fields.
        """
        return ""

    def bottom_names(self) -> Sequence[str]:
        """The bottoms, which may depend on the options."""
        return self.takes

    def implied_bottoms(self, optional: int) -> Optional[Sequence[str]]:
        """Which of the bottoms that may be missing so many are, where neither their number nor `bottoms` says it; None: not known."""
        return None

    def bottom_problems(self, names: Sequence[str]) -> Iterator[Remark]:
        """Yield what is wrong with the bottoms that the net gives, where their number does not say it."""
        yield from ()

    def top_names(self) -> Sequence[str]:
        """The tops, which may depend on the options."""
        return self.gives

    def top_problems(self, found: int) -> Iterator[Remark]:
        """Yield what is wrong with so many tops, where a range of numbers does not say it."""
        yield from ()

    @classmethod
    def is_loss(cls) -> bool:
        """Whether the first top is a loss, which wants a `loss_weight`."""
        return cls.gives[:1] == ("loss",)

    def has_inside(self) -> Sequence[str]:
        """The types of Caffe's of which it has one inside, as `inside` says, or the options."""
        return (self.inside,)

    def works_in_place(self) -> bool:
        """Whether the first top may be the blob of the first bottom; it has its shape then."""
        return False

    def parts(self, top: str) -> Sequence[str]:
        """The names of the numbers of a top, which may depend on the options; none if they are of one kind."""
        return tuple(self.holds.get(top, ()))

    def mixes(self, bottom: Sequence[int], top: Sequence[int]) -> bool:
        """Whether numbers of the first top lie between those of the first bottom. bottom, top: their shapes."""
        return False

    def sizes(self, shapes: Shapes) -> Sizes:
        """How many numbers a bottom may have, by name, of those that the layer does not look at before its first forward."""
        return {}

    def takes_targets(self, num_labels: int, num_scores: int) -> bool:
        """Whether so many labels of a sample are targets, 0, 1 or -1, for its scores, and not numbers of classes."""
        return False

    def num_classes(self) -> Optional[int]:
        """How many classes its bottom `label` has, where an option says it; None where its scores do."""
        return None

    def keeps(self) -> Optional[Kept]:
        """What it keeps from one iteration to the next in its last blobs, if anything."""
        return next((each for each in self.may_keep if getattr(self, each.option, False)), None)

    def kept_by_each_rank(self) -> str:
        """What of it is another in each of several ranks, in words; a snapshot has that of rank 0."""
        return ""

    def num_frozen(self) -> int:
        """How many of its blobs, the last ones, the solver must leave alone."""
        kept = self.keeps()
        return kept.blobs if kept else 0

    def num_blobs(self) -> int:
        """How many parameter blobs the layer has: by default those that it keeps something in."""
        return self.num_frozen()

    def makes_steps(self) -> bool:
        """Whether the diff of its first blob is the step that the solver shall take, times its rate, and no derivative."""
        return False

    def counts_iterations(self) -> bool:
        """Whether anything that the layer does depends on the number of the iteration, and so on `iter_size`."""
        return False
