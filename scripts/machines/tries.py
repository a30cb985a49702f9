"""What a newcomer does with the package and the Caffe of this Python: pages, training, resume, each command.

python3 scripts/machines/tries.py    (from a checkout, in an environment that has the package, Caffe and scikit-learn)

It prints a row of a table for each try. Exit status: how many of them fail.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Callable, Dict

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT))  # for the pages alone: programs are run without it

from tests.pages import blocks, file_of  # noqa: E402

QUICKSTART = "docs/quickstart.md"
COMMANDS = {
    "check": "--strict solver.prototxt",
    "describe": "TripletDataLayer",
    "doctor": "",
    "convert": "train.txt train.h5 --root images",
    "balance": "train.h5 --rule balanced --write-h H.binaryproto --write-weights weights.txt --plot counts.png",
    "preview": "train_val.prototxt",
    "bench": "triplet.prototxt --workers 0,1 --seconds 0.5",
    "train": "triplet_solver.prototxt",
    "log": "triplet_log.csv --plot curve.png",
    "export": "digits_iter_100.caffemodel",
}


def command(words: str) -> None:
    """Run a line of a shell. Raises CalledProcessError."""
    subprocess.run(["bash", "-euc", words], check=True, capture_output=True, text=True)


def quickstart() -> None:
    """All of it, in order. The weights after a restored snapshot are kept beside those of the run without a stop."""
    for language, text, _ in blocks(QUICKSTART):
        if "--snapshot=" in text:
            shutil.copy("digits_iter_100.caffemodel", "straight.caffemodel")
        if write_file(text):
            continue
        if language == "bash":
            command(text)
        else:
            subprocess.run([sys.executable, "-c", text], check=True, capture_output=True, text=True)


def write_file(text: str) -> bool:
    """Write a block that is a file."""
    name = file_of(text)
    if name is not None:
        Path(name).write_text(text)
    return name is not None


def resume() -> None:
    if Path("straight.caffemodel").read_bytes() != Path("digits_iter_100.caffemodel").read_bytes():
        raise ValueError("the weights differ after a restored snapshot")


def triplets() -> None:
    """The net of the quickstart, with prefetch, in the program."""
    solver = Path("solver.prototxt").read_text()
    solver = (
        solver.replace("train_val", "triplet")
        .replace("test_iter: 4  test_interval: 50", "")
        .replace("digits", "triplet")
    )
    Path("triplet_solver.prototxt").write_text(solver)
    command("caffe train --solver=triplet_solver.prototxt")


def readme() -> None:
    """Its net, on the images of the quickstart."""
    for _, text, _ in blocks("README.md"):
        write_file(text)
    command("sed 's/digits/readme/; s/^test_iter.*//' solver.prototxt > readme_solver.prototxt")
    command("caffe train --solver=readme_solver.prototxt")


def tries() -> Dict[str, Callable[[], None]]:
    found = {"quickstart": quickstart, "resume, bit for bit": resume, "triplets with prefetch": triplets}
    for name, arguments in COMMANDS.items():
        found[name] = lambda words=f"caffe-pylayers {name} {arguments}": command(words)
    return {**found, "README's net": readme}


def main() -> int:
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for name, attempt in tries().items():
            start, told = time.perf_counter(), "works"
            try:
                attempt()
            except (OSError, ValueError, subprocess.CalledProcessError) as error:
                failed += 1
                words = f"{getattr(error, 'stdout', '')}{getattr(error, 'stderr', '')}".strip() or str(error)
                told = f"fails: {words.splitlines()[-1]}"
            print(f"| {name} | {told} | {time.perf_counter() - start:.0f} s |", flush=True)
        os.chdir("/")
    return failed


if __name__ == "__main__":
    sys.exit(main())
