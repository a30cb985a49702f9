"""The measurements, in rounds, so that a slow minute is slow for all."""

import os
import time
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import numpy as np

from caffe_pylayers.commands.bench.bare import Bare
from caffe_pylayers.commands.bench.figures import Feeding, Figures
from caffe_pylayers.commands.bench.run import Run
from caffe_pylayers.commands.bench.stages import stages
from caffe_pylayers.data.cache.cache import free_disk
from caffe_pylayers.processes.memory import available_bytes

_ROUNDS = 3
_AHEAD = 3  # batches, as `prefetch: True`
_DELIVERIES = 5

#: Told what is measured next.
Progress = Callable[[str], None]


def default_workers(cores: int, most: int) -> List[int]:
    """The worker counts that are worth a look on so many cores, and not above `most`.

    >>> default_workers(6, 100), default_workers(16, 5)
    ([0, 1, 2, 4, 6], [0, 1, 2, 4])
    """
    counts = [0, 1]
    while counts[-1] * 2 <= cores:
        counts.append(counts[-1] * 2)
    return [count for count in sorted({*counts, cores}) if count <= max(1, most)]


def measure(
    run: Run, name: str, type_: str, workers: Optional[Sequence[int]], seconds: float, progress: Progress
) -> Figures:
    """The figures of a data layer, and of the net behind it. seconds: about so long for each count of workers.

    workers: the counts to try, 0 for inside forward; the one that the options have is added. None: up to the number of
    cores, while a batch for each fits into half of the free memory. Of a layer of others its forward alone
    is measured. Raises DataError for a record that cannot be read.
    """
    started = time.perf_counter()
    run.data()
    sizes = [blob.data.nbytes for blob in run.tops]
    figures = Figures(
        layer=name,
        type=type_,
        ours=run.layer is not None,
        batch_size=len(run.tops[0].data),
        images=len(run.tops[0].data),
        megabytes=sum(sizes) / 1e6,
        cores=len(os.sched_getaffinity(0)),
        setup=run.setup,
        load=os.getloadavg()[0],
        free_bytes=available_bytes(),
        free_disk=0 if run.layer is None else free_disk(run.layer.recipe.source.path),
    )
    measured = _Measurement(run, figures, seconds, progress)
    if run.layer is None:
        measured.forward_only(time.perf_counter() - started)
    else:
        most = int(figures.free_bytes / 2 / sum(sizes))
        counts = default_workers(figures.cores, most) if workers is None else workers
        measured.by_workers(sorted({*counts, figures.workers}))
    return figures


class _Measurement:
    """The turns that fill in figures."""

    def __init__(self, run: Run, figures: Figures, seconds: float, progress: Progress) -> None:
        self._run, self._figures, self._progress = run, figures, progress
        self._seconds = seconds
        self._turn = seconds / _ROUNDS / (2 if run.has_net else 1)
        self._layer: Any = run.layer
        if self._layer is not None:
            options = self._layer.options
            figures.batch_size, figures.images = options.batch_size, self._layer.images_a_batch
            figures.ahead, figures.workers = options.prefetch, min(options.prefetch, options.workers)

    def forward_only(self, first: float) -> None:
        """A layer of others: how fast its forward is, by itself and in the net."""
        rounds: List[Feeding] = []
        net: List[float] = []
        for _ in range(_ROUNDS):
            self._progress("forward of the data layer")
            feeding = Feeding(0, self._rate(), first)
            self._in_net(feeding, net)
            rounds.append(feeding)
        self._figures.feeding = [_median(rounds)]
        self._figures.net = float(np.median(net)) if net else None

    def by_workers(self, workers: Sequence[int]) -> None:
        """A layer of this package, fed by so many workers each."""
        figures, layer = self._figures, self._layer
        self._progress("stages of an image")
        layer.batches.stop()
        figures.stages = stages(layer.recipe, min(2.0, self._seconds))
        figures.limit_processes = max(1, min(max(workers), figures.cores))
        feedings: Dict[int, List[Feeding]] = {count: [] for count in workers}
        net: List[float] = []
        limits: List[float] = []
        with Bare(layer.recipe, figures.limit_processes) as bare:
            end = time.perf_counter() + self._seconds * (len(workers) + 1)
            while len(limits) < _ROUNDS and (not limits or time.perf_counter() < end):
                for count in workers:
                    self._progress(f"{count} worker{'' if count == 1 else 's'}")
                    feedings[count].append(self._fed_by(count))
                    self._in_net(feedings[count][-1], net)
                    layer.batches.stop()
                self._progress("the limit")
                limits.append(bare.rate(self._turn))
        figures.feeding = [_median(rounds) for rounds in feedings.values()]
        if layer.recipe.cache is not None:
            figures.cache = layer.recipe.cache.summary
        figures.net = float(np.median(net)) if net else None
        figures.limit = float(np.median(limits)) * figures.batch_size / figures.images
        if max(workers):
            self._progress("a batch that is ready")
            self._delivery(max(workers))
            layer.batches.stop()

    def _fed_by(self, workers: int) -> Feeding:
        """A layer started again with so many workers."""
        self._layer.feed(self._ahead(workers), workers)
        first = self._run.data()
        feeding = Feeding(workers, self._rate(workers), first)
        if self._layer.recipe.cache is not None:
            feeding.cached = self._layer.cached / self._layer.images_read
        return feeding

    def _ahead(self, workers: int) -> int:
        """Batches ahead that so many workers make: as in the options, and one per worker at least."""
        return max(self._figures.ahead or _AHEAD, workers) if workers else 0

    def _rate(self, workers: int = 0) -> float:
        """Samples a second of the data layer by itself.

        Workers that start together end together: as many batches as there are workers come first, and are counted at least.
        """
        for _ in range(workers):
            self._run.data()
        batches, begun = 0, time.perf_counter()
        while batches < max(1, workers) or time.perf_counter() < begun + self._turn:
            self._run.data()
            batches += 1
        return batches * self._figures.batch_size / (time.perf_counter() - begun)

    def _in_net(self, feeding: Feeding, net: List[float]) -> None:
        """The whole net fed so, and, for comparison, what is behind the data on the batch that is there."""
        if not self._run.has_net:
            return
        self._steps(self._turn / 4, 1)  # until the workers are as far ahead as they will be
        steps = self._steps(self._turn, max(1, feeding.workers))
        feeding.step, feeding.waiting = (1000 * float(value) for value in np.mean(steps, axis=0))
        if self._layer is not None:
            self._layer.batches.stop()  # so that no worker is busy beside it
        behind = [self._run.behind()]
        end = time.perf_counter() + self._turn / 2
        while time.perf_counter() < end:
            behind.append(self._run.behind())
        net.append(1000 * float(np.mean(behind)))

    def _steps(self, seconds: float, least: int) -> List[Tuple[float, float]]:
        steps: List[Tuple[float, float]] = []
        end = time.perf_counter() + seconds
        while len(steps) < least or time.perf_counter() < end:
            steps.append(self._run.step())
        return steps

    def _delivery(self, workers: int) -> None:
        """The time in forward() where the batch is ready, and a plain copy of as many bytes, in turns."""
        self._layer.feed(self._ahead(workers), workers)
        self._run.data()
        source = [blob.data.copy() for blob in self._run.tops]
        target = [np.empty_like(array) for array in source]
        feeding = self._figures.fed_by(workers)
        assert feeding is not None
        batch = self._figures.batch_size / feeding.rate
        _be_busy(min(1.0, 1.5 * batch * self._ahead(workers)))
        refill = min(0.3, 1.5 * batch * workers)  # the slot that was taken last, by one of the workers
        deliveries, copies = [], []
        for _ in range(_DELIVERIES):
            _be_busy(refill)
            deliveries.append(self._run.data())
            _be_busy(refill)
            begun = time.perf_counter()
            for origin, place in zip(source, target):
                np.copyto(place, origin)
            copies.append(time.perf_counter() - begun)
        self._figures.delivery = 1000 * float(np.median(deliveries))
        self._figures.memcpy = 1000 * float(np.median(copies))


def _be_busy(seconds: float) -> None:
    """As a net is while workers fill all slots; a core that slept would be slow at first."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def _median(rounds: Sequence[Feeding]) -> Feeding:
    """Of the rounds with one count of workers. The step and its waiting are of one round."""
    by_step = sorted(rounds, key=lambda feeding: feeding.step or 0.0)
    middle = by_step[len(rounds) // 2]
    rate, first = (float(np.median([getattr(each, name) for each in rounds])) for name in ("rate", "first"))
    return Feeding(middle.workers, rate, first, middle.step, middle.waiting, rounds[-1].cached)
