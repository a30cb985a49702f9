"""What to change, from the figures alone."""

from typing import Iterator, List, Optional

from caffe_pylayers.commands.bench.figures import Feeding, Figures, Stages

_SAME = 1.03  # times that differ by less are taken for equal
_WORTH = 1.15  # a change of the data that gains less is not worth telling
_WORTH_CACHE = 1.5
_SHARE = 0.5  # of what is free may be taken for decoded images, as a cache does by itself
_NET_BOUND = 1.05  # a step that is at most so much longer than the net on a constant batch


def advice(figures: Figures) -> List[str]:
    """Sentences, the most useful first; never empty."""
    if not figures.ours:
        return list(_for_others(figures))
    best = _best(figures.feeding)
    found = [*_workers(figures, best)]
    if best.step is not None and figures.net is not None and best.step <= _NET_BOUND * figures.net:
        return [
            *found,
            _net_is_the_limit("nothing more to gain from the data" if found else "nothing to change", figures, best),
        ]
    if best.step is not None and best.waiting is not None and figures.net is not None:
        found.append(_data_are_the_limit(figures, best, best.step, best.waiting, figures.net))
    if figures.stages is not None:
        found += _cheaper(figures, figures.stages)
    return found or [_as_it_is(figures)]


def _best(feedings: List[Feeding]) -> Feeding:
    """The fewest workers that are as good as any: by the step of the whole net, or else by the rate of the data."""
    steps = [feeding.step for feeding in feedings if feeding.step is not None]
    if not steps:
        highest = max(feeding.rate for feeding in feedings)
        return next(feeding for feeding in feedings if feeding.rate * _SAME >= highest)
    good = [feeding for feeding in feedings if feeding.step is not None and feeding.step <= _SAME * min(steps)]
    # On a machine that has no core to spare, waiting for data may cost no more than making them beside the net.
    idle = [(feeding.waiting or 0.0) / (feeding.step or 1.0) for feeding in good]
    return next(feeding for feeding, share in zip(good, idle) if share <= max(_NET_BOUND - 1, min(idle)))


def _workers(figures: Figures, best: Feeding) -> Iterator[str]:
    """Another count of workers, where that is better than the one in the options."""
    present: Optional[Feeding] = figures.fed_by(figures.workers)
    if present is None or best.workers == present.workers:
        return
    if best.step is not None and present.step is not None:
        gain = present.step / best.step
        told = f"a step takes {best.step:.1f} ms instead of {present.step:.1f}"
    else:
        gain = best.rate / present.rate
        told = f"{best.rate:.0f} samples/s instead of {present.rate:.0f}"
    if gain >= _SAME:
        yield f"{_setting(figures, best.workers)}: {told}"
    elif best.workers < present.workers:
        yield f"{_setting(figures, best.workers)} would do as well as {_count(present.workers)}: {told}"


def _setting(figures: Figures, workers: int) -> str:
    """The options that give so many workers."""
    if workers == 0:
        return "leave 'prefetch' and 'workers' out"
    ahead = max(figures.ahead or 3, workers)
    return f"set 'prefetch': {True if ahead == 3 else ahead}" + (
        f", 'workers': {workers}" if workers > 1 or figures.workers > 1 else ""
    )


def _cheaper(figures: Figures, stages: Stages) -> Iterator[str]:
    """Options and formats with which an image costs less, by what was measured."""
    rest = stages.total - stages.decode - stages.resize
    if stages.fast is not None and stages.total >= _WORTH * (rest + stages.fast):
        yield (
            f"'decode': 'fast' lets the JPEG decoder scale down: an image takes {rest + stages.fast:.0f} us instead of "
            f"{stages.total:.0f}"
        )
    if stages.small is not None and stages.total >= _WORTH * (rest + stages.small):
        yield (
            f"resize once, with `caffe-pylayers convert --resize ... --encode jpg:95`: an image takes {rest + stages.small:.0f} us instead of "
            f"{stages.total:.0f}"
        )
    kept, needed = stages.write + stages.transform, stages.decoded_bytes or 0
    where = _where_they_fit(needed, figures) if needed else ""
    if where and kept and stages.total >= _WORTH_CACHE * kept:
        yield (
            f"'cache': {where!r} keeps all images decoded, in {needed / 1e6:.0f} MB: from the second epoch on an image takes "
            f"about {kept:.0f} us instead of {stages.total:.0f}"
        )
    if stages.gray:
        yield (
            f"all {stages.images} images that were looked at are grey: 'color': False feeds one channel instead of "
            f"three; the net must be made for that"
        )
    if stages.first_read > max(5 * stages.read, stages.total):
        yield (
            f"the first reading of an image took {stages.first_read:.0f} us, the next {stages.read:.0f}: the first epoch "
            f"waits for the disk; more workers than cores help there"
        )


def _where_they_fit(needed: int, figures: Figures) -> str:
    """Where so many bytes fit: 'memory', 'disk', or "" for nowhere."""
    if needed <= _SHARE * figures.free_bytes:
        return "memory"
    return "disk" if needed <= _SHARE * figures.free_disk else ""


def _for_others(figures: Figures) -> Iterator[str]:
    """For a layer of which only the forward can be measured."""
    only = figures.feeding[0]
    if only.step is not None and figures.net is not None and only.step <= _NET_BOUND * figures.net:
        yield _net_is_the_limit("nothing to change", figures, only)
    elif only.step is not None and only.waiting is not None:
        yield f"the data are the limit: a step waits {only.waiting:.1f} of its {only.step:.1f} ms for them"
    yield f"{figures.type} is not a layer of this package, so its workers and stages cannot be measured"


def _data_are_the_limit(figures: Figures, best: Feeding, step: float, waiting: float, net: float) -> str:
    if waiting > (_NET_BOUND - 1) * step:
        cores = "; more cores would help" if best.workers >= figures.cores else ""
        return (
            f"the data are the limit: a step waits {waiting:.1f} of its {step:.1f} ms for them, even with "
            f"{_count(best.workers)}{cores}"
        )
    return (
        f"the net hardly waits for data ({waiting:.1f} of {step:.1f} ms per step), but alone it takes only {net:.1f} ms: it shares "
        f"its cores with the workers; more cores, or images that cost less, would help"
    )


def _net_is_the_limit(what: str, figures: Figures, best: Feeding) -> str:
    assert figures.net is not None and best.step is not None
    return f"{what}: the net is the limit, {min(figures.net, best.step):.1f} of {best.step:.1f} ms per step"


def _as_it_is(figures: Figures) -> str:
    return (
        f"nothing to change: {_count(figures.workers)} {'is' if figures.workers == 1 else 'are'} as good as any count"
    )


def _count(workers: int) -> str:
    return f"{workers or 'no'} worker{'' if workers == 1 else 's'}"
