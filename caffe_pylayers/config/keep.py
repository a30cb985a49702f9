"""The option `keep` of losses on terms: hard examples only."""

from typing import Iterator, Optional, Tuple

from pydantic import Field
from typing_extensions import Annotated

from caffe_pylayers.config.remarks import Remark
from caffe_pylayers.config.schema import Options


class Keep(Options):
    """Which terms count, by their values."""

    top_k: Optional[int] = Field(None, ge=1, description="So many terms of the batch, those with the highest values.")
    fraction: Optional[float] = Field(
        None, gt=0, le=1, description="This part of the terms that are not ignored, rounded up; above 0, at most 1."
    )
    threshold: Optional[float] = Field(None, description="The terms with a value above this number.")
    min_kept: int = Field(0, ge=0, description="With `threshold`: at least so many terms, if there are so many.")

    def conflicts(self) -> Iterator[Remark]:
        ways = ("top_k", "fraction", "threshold")
        given = [name for name in ways if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(f"'{name}'" for name in given) or "none of them"
            rule = "exactly one of the options 'top_k', 'fraction' and 'threshold' must be given"
            yield Remark(ways, f"{rule}, not {found}")

    def idle(self) -> Iterator[Tuple[str, str]]:
        if self.threshold is None:
            yield from self.without_effect(("min_kept",), "there is no 'threshold'")


#: The field of a loss's options.
Kept = Annotated[
    Optional[Keep],
    Field(
        description="Hard examples only: the terms of the batch with the highest values, before weights; the others count as "
        "ignored. {'top_k': n}, {'fraction': f} or {'threshold': v, 'min_kept': n}; none: all terms."
    ),
]
