"""What a million records cost: their index, the memory that it takes, and the rate at which batches come."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Dict, Iterator

import cv2
import numpy as np

from caffe_pylayers.caffe_files.datum import Datum
from caffe_pylayers.data.sources.lmdb import write_lmdb
from tests.bench.nets import OURS, fed
from tests.bench.rows import Row, in_turns

LARGE, SMALL = 1_000_000, 10_000
#: Enough that the workers' first touch of each page of the database, which is an epoch's, counts for little.
NUM_BATCHES, BATCH = 200, 256

#: Prints the seconds that the set-up of an LMDB takes, and the MB of memory afterwards, its labels left out.
SET_UP = """
import json, sys, time
from caffe_pylayers.data.sources.lmdb import LMDBSource
start = time.perf_counter()
source = LMDBSource(sys.argv[1])
seconds = time.perf_counter() - start
with open("/proc/self/status") as status:
    resident = next(int(line.split()[1]) << 10 for line in status if line.startswith("VmRSS"))
print(json.dumps({"seconds": seconds, "megabytes": (resident - source.labels.nbytes) / 1e6}))
"""


def scale() -> Iterator[Row]:
    """An LMDB of 1,000,000 small JPEGs against one of 10,000, each time in a fresh process."""
    with tempfile.TemporaryDirectory(prefix="caffe_pylayers_bench_") as folder:
        large, small = (_database(Path(folder), count) for count in (LARGE, SMALL))
        first, small_first = _set_up(large), _set_up(small)
        yield Row(
            "index of 1,000,000 records, first time", f"{first['seconds']:.1f} s", "60 s", first["seconds"], "<= 60"
        )
        seconds = in_turns({"cached": lambda: _set_up(large)["seconds"]})["cached"]
        yield Row("... from its cache", f"{seconds:.3f} s", "1 s", seconds, "<= 1")
        for when, ours, theirs in (
            ("first time", first, small_first),
            ("from its cache", _set_up(large), _set_up(small)),
        ):
            more = ours["megabytes"] - theirs["megabytes"]
            yield Row(
                f"memory with 1,000,000 records, labels aside, {when}",
                f"{ours['megabytes']:.1f} MB",
                f"10,000 records: {theirs['megabytes']:.1f} MB",
                more,
                "<= 50",
            )
        rates = in_turns({"large": lambda: _rate(large), "small": lambda: _rate(small)}, 3)
        yield Row(
            "feeding 128x128 JPEGs of 1,000,000, 2 workers",
            f"{rates['large']:.0f} images/s",
            f"of 10,000: {rates['small']:.0f} images/s",
            rates["large"] / rates["small"],
            ">= 0.95",
        )


def _database(folder: Path, count: int) -> str:
    rng = np.random.default_rng(0)
    images = [cv2.resize(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8), (128, 128)) for _ in range(16)]
    files = [cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 75])[1].tobytes() for image in images]
    path = str(folder / f"{count}_lmdb")
    write_lmdb(path, (Datum(files[number % 16], number % 1000, 3, 128, 128, True) for number in range(count)))
    return path


def _set_up(path: str) -> Dict[str, float]:
    output = subprocess.run([sys.executable, "-c", SET_UP, path], check=True, stdout=subprocess.PIPE).stdout
    figures: Dict[str, float] = json.loads(output)
    return figures


def _rate(path: str) -> float:
    """Images a second that a net is fed in random order."""
    options = {
        "source_type": "LMDB", "source": path, "batch_size": BATCH, "shuffle": True, "prefetch": 4, "workers": 2,
    }  # fmt: skip
    return fed(OURS.format(layer="ImageDataLayer", tops='top: "data"  top: "label"', options=options), NUM_BATCHES)
