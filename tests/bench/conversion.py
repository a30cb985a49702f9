"""convert against stock convert_imageset: the same photos into an LMDB, by the programs as a user starts them."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Iterator, List

from tests.bench.nets import photo_folder
from tests.bench.photos import NUM_PHOTOS
from tests.bench.rows import Row, in_turns

#: What to do: the options of stock, and of ours.
JOBS = {
    "256x256, JPEG": (["-resize_height=256", "-resize_width=256", "-encoded", "-encode_type=jpg"],
                      ["--resize", "256", "--encode", "jpg:95"]),
    "256x256, pixels": (["-resize_height=256", "-resize_width=256"], ["--resize", "256", "--encode", "raw"]),
    "as they are": (["-encoded"], []),
}  # fmt: skip


def conversion() -> Iterator[Row]:
    """One and two workers, each with the comparison at the end, which stock does not make."""
    for job, (stock_options, our_options) in JOBS.items():
        figures = in_turns(
            {
                "stock": lambda options=stock_options: _stock(options),  # type: ignore[misc]
                "1": lambda options=our_options: _ours([*options, "--workers", "1"]),  # type: ignore[misc]
                "2": lambda options=our_options: _ours([*options, "--workers", "2"]),  # type: ignore[misc]
            },
            3,
        )
        stock = f"convert_imageset: {figures['stock']:.0f} images/s"
        yield Row(
            f"convert to LMDB, {job}, 2 workers",
            f"{figures['2']:.0f} images/s",
            stock,
            figures["2"] / figures["stock"],
            ">= 1",
        )
        yield Row("  with 1 worker", f"{figures['1']:.0f} images/s", stock, figures["1"] / figures["stock"])


def _stock(options: List[str]) -> float:
    program = Path(sys.prefix) / "bin" / "convert_imageset"
    return _rate([str(program), *options, f"{photo_folder()}/", f"{photo_folder()}/list.txt", "stock_lmdb"])


def _ours(options: List[str]) -> float:
    command = [sys.executable, "-m", "caffe_pylayers", "convert", f"{photo_folder()}/list.txt", "our_lmdb"]
    return _rate([*command, "--root", str(photo_folder()), *options])


def _rate(command: List[str]) -> float:
    """Images a second, from the start of the program to its end."""
    folder = tempfile.mkdtemp(prefix="caffe_pylayers_bench_")
    os.sync()
    try:
        start = time.perf_counter()
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return NUM_PHOTOS / (time.perf_counter() - start)
    finally:
        shutil.rmtree(folder)
