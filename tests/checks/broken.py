"""A mistake in one of the nets of `good_nets`, and what `check` must say of it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, Optional, Tuple

from tests.checks.good_nets import FILES

NET, SOLVER, DEPLOY, STOCK = FILES


@dataclass(frozen=True)
class Broken:
    """A file whose text `old` became `new`.

    says, remedy: words of the finding. layer: the layer that it names. at: what stands in its line, the first such or the
    last; by default it is the line where `new` begins. where: the file that it names, by default the changed one. checks: the files that are given to the
    command. options: of the command. disk: files that are other than in the good folder, None for one that is not there.
    """

    name: str
    file: str
    old: str
    new: str
    layer: str
    says: str
    remedy: str = ""
    level: str = "error"
    at: str = ""
    last: bool = False
    where: str = ""
    checks: Tuple[str, ...] = ()
    options: Tuple[str, ...] = ("--no-build",)
    disk: Dict[str, Optional[bytes]] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Make the mistake in a folder of good nets."""
        text = FILES[self.file]
        assert text.count(self.old) == 1, f"{self.old!r} is {text.count(self.old)} times in {self.file}"
        (folder / self.file).write_text(text.replace(self.old, self.new))
        for name, content in self.disk.items():
            (folder / name).unlink()
            if content is not None:
                (folder / name).write_bytes(content)

    @property
    def place(self) -> str:
        """`file:line` of the finding."""
        text = FILES[self.file]
        begin = text.index(self.old)
        changed = text.replace(self.old, self.new)
        if self.where and self.where != self.file:
            changed = FILES[self.where]
        if self.at:
            begin = changed.rindex(self.at) if self.last else changed.index(self.at)
        return f"{self.where or self.file}:{changed.count(chr(10), 0, begin) + 1}"
