"""One run of a conversion, from the source to the target in its place."""

import contextlib
import hashlib
import json
import os
from dataclasses import asdict, replace
from typing import Any, Callable, Dict, Iterator, List, Tuple

import numpy as np
from tqdm import tqdm

from caffe_pylayers.commands.convert.convert import Conversion
from caffe_pylayers.commands.convert.provenance import circumstances, flush, provenance_of, versions
from caffe_pylayers.commands.convert.records import Naming, annotated, difference, label_notes, order_notes, order_of
from caffe_pylayers.commands.convert.replacing import old_pieces, refuse_source
from caffe_pylayers.commands.convert.segments import Segment
from caffe_pylayers.commands.convert.targets import Target, target_of
from caffe_pylayers.commands.convert.tasks import Compare, Described, Make, Part, Written
from caffe_pylayers.commands.convert.unfinished import Unfinished
from caffe_pylayers.commands.convert.workers import Workers
from caffe_pylayers.data.sources import open_source
from caffe_pylayers.data.sources.base import Image
from caffe_pylayers.errors import DataError
from caffe_pylayers.processes.limits import cannot_write, exhausted

_MOST_COMPLAINTS = 1000  # about records left out, that are kept


class Run:
    """See `caffe_pylayers.commands.convert.convert`."""

    def __init__(self, conversion: Conversion, say: Callable[[str], None]) -> None:
        self._conversion = conversion
        self._say = say
        self._source = conversion.origin.open(tolerant=conversion.skip)
        self._order = order_of(self._source, conversion.shuffle, conversion.seed)
        self._naming = Naming.of(self._source, conversion.images.target_type)
        self._target = target_of(conversion.images.target_type, os.path.abspath(conversion.target), self._source)
        self._written: List[Written] = []
        self._records: List[np.ndarray] = [np.empty(0, np.int64)]  # of each segment
        self._num_records = self._num_skipped = self._num_cut_short = 0
        self._complaints: List[Tuple[int, str]] = []

    def convert(self, num_workers: int, force: bool) -> Dict[str, Any]:
        """Make the target, or go on with it; returns its provenance."""
        plan = self._plan()
        refuse_source(self._files(), self._target, [])
        with Unfinished(self._target.path) as unfinished:
            if not unfinished.is_ready(plan):
                old = old_pieces(self._target, force)
                refuse_source(self._files(), self._target, old)
                self._begin(unfinished, plan)
                with self._blaming_target(unfinished):
                    pieces = self._make(unfinished, num_workers)
                unfinished.ready(plan, pieces, old)
            unfinished.install()
        with open(provenance_of(self._target.path)) as stream:
            entry: Dict[str, Any] = json.load(stream)
            return entry

    def _plan(self) -> Dict[str, Any]:
        """All that decides what is made."""
        conversion, stamp = self._conversion, hashlib.sha256()
        for file in self._files():
            status = os.stat(file)
            stamp.update(b"%d %d " % (status.st_size, status.st_mtime_ns) + os.fsencode(file) + b"\0")
        for array in (self._source.labels, self._source.unknown, self._source.sample_weights):
            stamp.update(b"none" if array is None else array.tobytes())
        return {
            "source": self._origin(),
            "contents of the source": stamp.hexdigest(),
            "images": {**conversion.images.described(), "resize": list(conversion.images.resize or ())},
            "order": ["shuffled", conversion.seed] if conversion.shuffle else ["as in the source"],
            "versions": versions(),
            "records in a segment": _records_a_segment(len(self._order)),
        }

    def _files(self) -> Iterator[str]:
        """All files that it reads."""
        yield from self._source.files()
        for file in (self._conversion.origin.labels, self._conversion.origin.sample_weights):
            if isinstance(file, str) and os.path.exists(file):  # else it is a column, or a data set
                yield file
                if os.path.isdir(file):
                    yield os.path.join(file, "data.mdb")

    def _origin(self) -> Dict[str, Any]:
        origin = self._conversion.origin
        labels = origin.labels if origin.labels is None or isinstance(origin.labels, str) else list(origin.labels)
        return {**asdict(origin), "source": os.path.abspath(origin.source), "labels": labels}

    def _begin(self, unfinished: Unfinished, plan: Dict[str, Any]) -> None:
        """Look what an earlier run has finished."""
        changed = unfinished.begin(plan)
        if changed:
            self._say(f"{unfinished.path} is from another conversion ({', '.join(changed)}): starting again")
        kept = 0
        for path in tqdm([*unfinished.finished()], desc="looking at what is finished", unit="parts", disable=None):
            try:
                segment = Segment.read(path)
                sound = segment.is_sound()
            except DataError:
                sound = False
            if sound:
                kept += len(segment.records)
            else:
                os.remove(path)
        if kept:
            self._say(f"{unfinished.path} has {kept} of {len(self._order)} records from an earlier run: continuing")

    @contextlib.contextmanager
    def _blaming_target(self, unfinished: Unfinished) -> Iterator[None]:
        """Messages name the target as the user knows it, and where the unfinished one is."""
        try:
            yield
        except BaseException as error:
            if any(unfinished.finished()):
                self._say(
                    f"finished records stay in {unfinished.path}: give the same command again to continue, or remove that folder"
                )
            used_up = exhausted(error)
            if used_up:
                raise used_up.within(self._target.path) from error
            if isinstance(error, OSError):
                raise cannot_write(error, self._target.path) from error
            if isinstance(error, DataError):
                place = os.path.join(os.path.dirname(self._target.path), "")
                raise error.renamed(os.path.join(unfinished.made, ""), place) from error
            raise

    def _make(self, unfinished: Unfinished, num_workers: int) -> List[str]:
        """Make all that belongs to the target, and compare it; returns the names, the target itself at the end."""
        made = replace(self._target, path=os.path.join(unfinished.made, os.path.basename(self._target.path)))
        size = _records_a_segment(len(self._order))
        parts = [
            Part(unfinished.segment(number), tuple(self._order[start : start + size].tolist()))
            for number, start in enumerate(range(0, len(self._order), size))
        ]
        with Workers(min(num_workers, len(parts))) as workers:
            images = self._images(workers, parts)
            made.write(annotated(self._source, self._naming, images), len(self._order))
            if not self._num_records:
                raise DataError(f"no record of {self._conversion.origin.source} can be read: {self._complaints[0][1]}")
            entry = self._compared(made, workers)
        with open(provenance_of(made.path), "w") as stream:
            json.dump({**entry, **circumstances()}, stream, indent=2)
        pieces = [provenance_of(made.path), *made.pieces()]
        return [os.path.basename(piece) for piece in pieces if os.path.exists(piece)]

    def _images(self, workers: Workers, parts: List[Part]) -> Iterator[Tuple[int, Image]]:
        """Records and their images, while the workers make them."""
        task = Make(self._source, self._conversion.images, self._conversion.skip)
        with tqdm(desc="converting", total=len(self._order), unit="records", disable=None) as progress:
            for path, part in zip(workers.do(task, parts), parts):
                segment = Segment.read(path)
                self._complaints += segment.skipped[: _MOST_COMPLAINTS - len(self._complaints)]
                self._num_skipped += len(segment.skipped)
                self._num_cut_short += len(segment.cut_short)
                self._written.append(Written(path, self._num_records))
                self._records.append(np.array(segment.records, np.int64))
                self._num_records += len(segment.records)
                yield from zip(segment.records, segment.images())
                progress.update(len(part.records))

    def _compared(self, made: Target, workers: Workers) -> Dict[str, Any]:
        """Read the target back, as a layer does, and compare all of it; returns what there is to say of it."""
        pieces = [piece for piece in made.pieces() if os.path.exists(piece)]
        flush(pieces)
        options = made.options()
        written = open_source(path=options["source"], **{name: options[name] for name in options if name != "source"})
        complaint = difference(self._source, np.concatenate(self._records), self._naming, written)
        answers = workers.do(Compare(written), [Described(tuple(pieces)), *self._written])
        files = next(answers)
        for place in tqdm(answers, desc="comparing", total=len(self._written), unit="parts", disable=None):
            if place is not None:
                complaint = complaint or f"the image of its record {place} is different"
        if complaint:
            raise DataError(
                f"reading it back gives something else than was written: {complaint}",
                remedy="is the disk damaged?",
                source=made.path,
            )
        return self._entry(made, files)

    def _entry(self, made: Target, files: Dict[str, Any]) -> Dict[str, Any]:
        """The provenance, but for when."""
        conversion = self._conversion
        here, there = os.path.join(os.path.dirname(made.path), ""), os.path.dirname(conversion.target)
        options = {
            name: os.path.join(there, value[len(here) :]) if str(value).startswith(here) else value
            for name, value in made.options().items()
        }
        example = next(image for part in self._written for image in Segment.read(part.path).images())
        if conversion.images.gray or conversion.images.color:
            options["color"] = conversion.images.color or False
        if self._num_cut_short and conversion.images.encoding == "kept":
            options["decode"] = "lenient"
        return {
            "target": conversion.target,
            "records": self._num_records,
            "skipped": self._num_skipped,
            "complaints": [complaint for _, complaint in self._complaints],
            "layer_options": options,
            "notes": made.notes(self._source, example)
            + self._naming.notes()
            + order_notes(self._source)
            + label_notes(self._source, conversion.images.resize is not None)
            + [f"{self._num_cut_short} images are cut short, and were read as far as they go"]
            * bool(self._num_cut_short),
            "files": files,
            "source": self._origin(),
            "images": {**conversion.images.described(), "encode": conversion.images.encoding},
            "shuffled": conversion.seed if conversion.shuffle else None,
        }


def _records_a_segment(num_records: int) -> int:
    """Few enough that little is lost with an unfinished one, and many enough that a segment is worth a file."""
    return max(8, min(512, num_records // 100))
