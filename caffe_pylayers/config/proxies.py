"""The options of the loss on embeddings and proxies."""

from typing import Any, ClassVar, Dict, Iterator, Literal, Optional, Tuple

from pydantic import Field

from caffe_pylayers.config.margins import NormalizeX, VectorsOptions
from caffe_pylayers.config.remarks import Remark
from caffe_pylayers.config.schema import IgnoreLabel

#: The options that only some types have.
_OF_TYPE = {
    "proxy_nca": ("scale",),
    "proxy_anchor": ("margin", "alpha"),
    "normalized_softmax": ("temperature",),
    "soft_triple": ("margin", "sub_centers", "la", "gamma", "tau"),
}

_MARGINS = {"proxy_anchor": 0.1, "soft_triple": 0.01}

#: What alpha (1 + margin) may be, so that exponentials fit float32.
_LARGEST = 100.0


class ProxyLossOptions(VectorsOptions):
    """Embeddings against learned proxies of the classes: Proxy-NCA, Proxy-Anchor, normalized softmax, SoftTriple."""

    takes = ("embedding", "label", "[sample_weight]")
    gives = ("loss",)
    example: ClassVar[Dict[str, Any]] = {"num_output": 10, "type": "proxy_anchor"}

    type: Literal["proxy_nca", "proxy_anchor", "normalized_softmax", "soft_triple"] = Field(
        description="Which loss it is."
    )
    scale: float = Field(1.0, gt=0, description="proxy_nca: factor of the squared distances, above 0.")
    margin: Optional[float] = Field(
        None,
        ge=0,
        le=2,
        description="proxy_anchor: what is added to the cosines of other classes and taken off those of the class, from 0 to 2 (none: 0.1); soft_triple: "
        "what is taken off the likeness of the class (none: 0.01).",
    )
    alpha: float = Field(32.0, gt=0, description="proxy_anchor: factor of the cosines, above 0.")
    temperature: float = Field(0.05, gt=0, description="normalized_softmax: divisor of the cosines, above 0.")
    sub_centers: int = Field(
        10,
        ge=1,
        description="soft_triple: vectors per class, at least 1.",
        json_schema_extra={"aliases": ["centers_per_class"]},
    )
    la: float = Field(20.0, gt=0, description="soft_triple: factor of the likeness of a class, above 0.")
    gamma: float = Field(0.1, gt=0, description="soft_triple: how far the farther vectors of a class count, above 0.")
    tau: float = Field(
        0.0,
        ge=0,
        description="soft_triple: weight, at least 0, of the distances between the vectors of a class, which draws them together.",
    )
    normalize_x: NormalizeX = True
    ignore_label: IgnoreLabel = None

    @property
    def margin_of_type(self) -> float:
        """The option `margin`, or what it is without."""
        return self.margin if self.margin is not None else _MARGINS[self.type]

    @property
    def vectors_per_class(self) -> int:
        """Rows of the blob for each class."""
        return self.sub_centers if self.type == "soft_triple" else 1

    def conflicts(self) -> Iterator[Remark]:
        yield from super().conflicts()
        if self.type == "proxy_anchor" and self.alpha * (1 + self.margin_of_type) > _LARGEST:
            found = f"'alpha' times 1 + 'margin' is {self.alpha * (1 + self.margin_of_type):g}, but at most {_LARGEST:g} is allowed"
            yield Remark(("alpha", "margin"), found, "lower 'alpha'; 32 is usual")

    def idle(self) -> Iterator[Tuple[str, str]]:
        yield from super().idle()
        others = {name for names in _OF_TYPE.values() for name in names} - {*_OF_TYPE[self.type]}
        yield from self.without_effect(sorted(others), f"'type' is {self.type!r}")
