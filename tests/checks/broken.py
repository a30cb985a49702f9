"""A mistake in one of the nets of `good_nets`, and what `check` must say of it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, Optional, Tuple

from tests.checks.good_nets import FILES

NET, SOLVER, DEPLOY, STOCK, MAPS = FILES


@dataclass(frozen=True)
class Broken:
    """A file whose text `old` became `new`.

    says, remedy: words of the finding. layer: the layer that it names. at: what stands in its line, the first such or the
    last, or `shift` lines on; by default it is the line where `new` begins. where: the file that it names, by default the changed one. checks: the files that are given to the
    command. options: of the command. disk: files that are other than in the good folder, None for one that is not there. also: (file, old, new) of another
    change that it takes.
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
    shift: int = 0
    where: str = ""
    checks: Tuple[str, ...] = ()
    options: Tuple[str, ...] = ("--no-build",)
    disk: Dict[str, Optional[bytes]] = field(default_factory=dict)
    also: Tuple[str, str, str] = ("", "", "")

    def write(self, folder: Path) -> None:
        """Make the mistake in a folder of good nets."""
        for name, text in self.texts.items():
            (folder / name).write_text(text)
        for name, content in self.disk.items():
            (folder / name).unlink(missing_ok=True)
            if content is not None:
                (folder / name).parent.mkdir(exist_ok=True)
                (folder / name).write_bytes(content)

    @property
    def texts(self) -> Dict[str, str]:
        """The nets and solvers with the mistake."""
        texts = dict(FILES)
        for file, old, new in ((self.file, self.old, self.new), self.also):
            if file:
                assert texts[file].count(old) == 1, f"{old!r} is {texts[file].count(old)} times in {file}"
                texts[file] = texts[file].replace(old, new)
        return texts

    @property
    def place(self) -> str:
        """`file:line` of the finding."""
        file = self.where or self.file
        text = self.texts[file]
        begin = FILES[self.file].index(self.old)
        if self.at:
            begin = text.rindex(self.at) if self.last else text.index(self.at)
        return f"{file}:{text.count(chr(10), 0, begin) + 1 + self.shift}"
