"""Questions to processes of their own."""

import signal
import subprocess
import sys
import time

import psutil
import pytest

from caffe_pylayers.processes import probe
from caffe_pylayers.processes.gpu import built_for_gpus
from tests.layers.runs import assert_gone


def test_a_probe_that_hangs_is_ended():
    begun = time.monotonic()
    answer = probe.ask(["sleep", "60"], timeout=0.3)
    assert time.monotonic() - begun < 10
    assert answer.status is None and not answer.ok and "no answer in time" in answer.failure


def test_a_probe_ends_with_its_last_line():
    """Without what waits for the end of Python, which takes as long as many a probe."""
    assert probe.ask_caffe("import atexit\natexit.register(print, 'late')\nprint('said', end='')").out == "said"


def test_the_last_words_of_a_probe():
    answer = probe.ask_python("import caffe\ncaffe.set_mode_gpu()\ncaffe.set_device(99)")
    assert answer.status == -signal.SIGABRT
    if built_for_gpus():
        assert answer.failure.startswith("Check failed: error == cudaSuccess ")
    else:
        assert answer.failure == "Cannot use GPU in CPU-only Caffe: check mode. (common.cpp:66)"
    assert probe.ask_python("raise KeyError('x')").failure == "KeyError: 'x'"


def test_what_a_caffe_for_gpus_complains_of_is_no_reason():
    """As it was logged by one on a machine without a GPU."""
    complaints = (
        "WARNING: Logging before InitGoogleLogging() is written to STDERR\n"
        "E20261130 18:12:52.302773 28996 common.cpp:114] Cannot create Cublas handle. Cublas won't be available.\n"
        "E20261130 18:12:52.302940 28996 common.cpp:121] Cannot create Curand generator. Curand won't be available.\n"
    )
    reason = "F20261130 18:12:53.302940 28996 insert_splits.cpp:29] Unknown bottom blob 'pi' (layer 'loss', bottom index 0)\n"
    answer = probe.Answer(-signal.SIGABRT, "", complaints + reason)
    assert answer.why_caffe_gave_up == "Unknown bottom blob 'pi' (layer 'loss', bottom index 0)"
    thread = "F20261130 18:12:53.302940 28996 internal_thread.cpp:19] Check failed: error == cudaSuccess (35 vs. 0)\n"
    answer = probe.Answer(-signal.SIGABRT, "", complaints + thread)
    assert answer.why_caffe_gave_up == f"Check failed: error == cudaSuccess (35 vs. 0) ({probe.NEEDS_A_GPU})"


LAYER = 'layer { name: "x"  type: "TYPE"  top: "x"  top: "y"  PARAM }'
NET = """
import caffe, tempfile
with tempfile.NamedTemporaryFile("w", suffix=".prototxt") as file:
    file.write(sys.argv[1])
    file.flush()
    caffe.Net(file.name, caffe.TRAIN)
"""
MODULE = """
import caffe
class Wrong(caffe.Layer):
    def setup(self, bottom, top):
        try:
            {}["a"]
        except KeyError:
            raise EXCEPTION
"""


def last_words(kind, param):
    return probe.ask_caffe(NET, LAYER.replace("TYPE", kind).replace("PARAM", param))


def test_why_caffe_gave_up(tmp_path, monkeypatch):
    aborted = last_words("ImageData", 'image_data_param { source: "/nowhere" }')
    assert (aborted.status, aborted.raised) == (-signal.SIGABRT, "")
    assert aborted.fatal.place.startswith("image_data_layer.cpp:")
    (tmp_path / "list").write_text("none.png 0\n")
    image = last_words("ImageData", f'image_data_param {{ source: "{tmp_path}/list"  root_folder: "/there/" }}')
    assert image.why_caffe_gave_up.startswith("Could not open or find file /there/none.png; Check failed: cv_img.data ")
    missing = last_words("Python", 'python_param { module: "no_module"  layer: "X" }')
    assert missing.raised == missing.why_caffe_gave_up == "ModuleNotFoundError: No module named 'no_module'"
    monkeypatch.syspath_prepend(tmp_path)
    for number, (exception, said) in enumerate(
        (
            ("ValueError('two\\nlines')", "ValueError: two lines"),
            ("TypeError", "TypeError"),
            ("cv2.error('x')", "cv2.error: x"),
        )
    ):
        (tmp_path / f"wrong{number}.py").write_text(f"import cv2{MODULE.replace('EXCEPTION', exception)}")
        wrong = last_words("Python", f'python_param {{ module: "wrong{number}"  layer: "Wrong" }}')
        assert wrong.raised == wrong.why_caffe_gave_up == said
    killed = probe.ask_caffe("import os\nos.kill(os.getpid(), 9)")
    assert killed.why_caffe_gave_up == "without a message (killed by SIGKILL)"


@pytest.mark.parametrize("ask", ["ask_python", "ask_caffe"])
def test_it_ends_with_whoever_asks(tmp_path, ask):
    code = f"from caffe_pylayers.processes.probe import {ask}\n{ask}('import time; print(flush=True); time.sleep(60)')"
    asking = subprocess.Popen([sys.executable, "-c", code])
    while not psutil.Process(asking.pid).children():
        assert asking.poll() is None
        time.sleep(0.05)
    below = psutil.Process(asking.pid).children()
    asking.kill()
    asking.wait()
    assert_gone(below)


def test_the_working_directory_has_no_say_in_how_it_begins(tmp_path, monkeypatch):
    for name in ("ctypes", "runpy", "tempfile", "caffe"):
        (tmp_path / f"{name}.py").write_text("raise KeyError")
    monkeypatch.chdir(tmp_path)
    assert probe.ask_python("print('fine', file=answers)").out == "fine\n"
    assert probe.ask_caffe("import tempfile, caffe").ok
