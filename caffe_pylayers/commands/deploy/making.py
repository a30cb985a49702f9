"""What replaces a layer is made of: parts with names of their own, between its bottoms and its tops."""

from dataclasses import dataclass, field
from typing import Any, List, Mapping, NoReturn, Optional, Sequence, Tuple

import numpy as np

from caffe_pylayers.caffe_files.nets import Layer
from caffe_pylayers.commands.deploy.parts import Part, part
from caffe_pylayers.commands.export.blob_shapes import Blob, Known, Unknown, shapes_of_tops
from caffe_pylayers.errors import ConfigError


@dataclass
class Making:
    """A layer that is replaced, and the parts so far. options: of a layer of this package. blobs: its weights. shapes: of its bottoms.

    stock: whether only layers of stock Caffe may be taken.
    """

    layer: Layer
    options: Any
    blobs: Sequence[np.ndarray]
    shapes: Sequence[Known]
    stock: bool = False
    parts: List[Part] = field(default_factory=list)

    @property
    def x(self) -> str:
        return self.layer.bottoms[0]

    @property
    def y(self) -> str:
        return self.layer.tops[0]

    def add(
        self,
        kind: str,
        bottoms: Sequence[str],
        top: str = "",
        blobs: Sequence[np.ndarray] = (),
        known: Optional[Known] = None,
        unread: str = "",
        **params: Mapping[str, Any],
    ) -> str:
        """Add a layer; returns the name of its top. top: that of the layer, whose name this one then has, or "" for one in between. known: the
        shape of the top, for a type that is not Caffe's."""
        name = self.layer.name if top else f"{self.layer.name}/{kind.lower()}{len(self.parts) or ''}"
        tops = [top or name]
        if top == self.y and kind == "Pooling":
            tops = list(self.layer.tops)
        shapes = None if known is None else [known] * len(tops)
        self.parts.append(part(self.layer, kind, bottoms, tops, name, blobs, shapes, unread, **params))
        return tops[0]

    def cut(self, bottom: str, number: int) -> List[str]:
        """Cut a blob into so many equal pieces along axis 1; returns the names of the pieces."""
        name = f"{self.layer.name}/slice{len(self.parts) or ''}"
        pieces = [f"{name}/{i}" for i in range(number)]
        self.parts.append(part(self.layer, "Slice", [bottom], pieces, name, slice_param={"axis": 1}))
        return pieces

    def shape(self, number: int = 0, why: str = "") -> Tuple[int, ...]:
        """The shape of a bottom without the samples. Raises ConfigError where it is not known. why: what needs it."""
        known = self.shapes[number]
        sizes = _all_sizes(known)
        if sizes is None:
            giver, remedy = "", "give that of what the net reads: --shape BLOB=CHANNELS,HEIGHT,WIDTH"
            if isinstance(known, Unknown):
                giver, remedy = f" ({known.why})", "cut it off: --output with a blob before it"
            raise ConfigError(
                f"the shape of its bottom {self.layer.bottoms[number]!r} is not known{giver}{why and f', which {why} needs'}",
                remedy=remedy,
                source=self.layer.described,
            )
        return sizes

    def made(self, bottom: Blob) -> Tuple[int, ...]:
        """The shape of the top of the last part, a layer of Caffe's."""
        sizes = _all_sizes(shapes_of_tops(self.parts[-1].layer, [bottom])[0])
        assert sizes is not None
        return sizes

    def refuse(self, what: str) -> NoReturn:
        """Raise ConfigError: what the layer does has no name in other programs, or in stock Caffe."""
        whom = "the layers of stock Caffe cannot say" if self.stock else "no reader of Caffe's files knows"
        remedy = "cut it off: --output with a blob before it"
        if self.stock:
            remedy = f"leave out --stock, or {remedy}"
        raise ConfigError(f"{whom} {what}", remedy=remedy, source=self.layer.described)


def _all_sizes(known: Known) -> Optional[Tuple[int, ...]]:
    """A shape, if all of it is known."""
    if not isinstance(known, Blob) or None in known.shape:
        return None
    return tuple(size for size in known.shape if size is not None)
