"""Questions to processes of their own."""

import signal
import time

from caffe_pylayers.processes import probe


def test_a_probe_that_hangs_is_ended():
    begun = time.monotonic()
    answer = probe.ask(["sleep", "60"], timeout=0.3)
    assert time.monotonic() - begun < 10
    assert answer.status is None and not answer.ok and "no answer in time" in answer.failure


def test_the_last_words_of_a_probe():
    answer = probe.ask_python("import caffe\ncaffe.set_mode_gpu()\ncaffe.set_device(0)")
    assert answer.status == -signal.SIGABRT
    assert answer.failure == "Cannot use GPU in CPU-only Caffe: check mode. (common.cpp:66)"
    assert probe.ask_python("raise KeyError('x')").failure == "KeyError: 'x'"
