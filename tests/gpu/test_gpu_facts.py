"""What the layers take for granted of CuPy and Caffe on one GPU: `pytest -m gpu`. Each in a process of its own, which may abort."""

import os
import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.gpu

PREPARE = """
import os
os.environ.setdefault("GLOG_minloglevel", "2")
import caffe, numpy as np
from caffe_pylayers.processes.gpu import use_gpu
use_gpu(0)
import cupy
from caffe_pylayers.layers import device
from caffe_pylayers.layers.synced_memory import AT_GPU, SYNCED, head_of
from tests.caffe_nets import build, layer_text, run
free = lambda: cupy.cuda.runtime.memGetInfo()[0] >> 20
SOFTMAX = layer_text("Python", ["x", "label"], ["loss"], 'python_param { module: "caffe_pylayers" layer: "WeightedSoftmaxLoss" }', 1)
"""


def in_a_process(code, status=0, **environment):
    """Run it with Caffe in GPU mode and CuPy; returns what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", PREPARE + textwrap.dedent(code)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    print(done.stdout, done.stderr)
    assert (done.returncode == 0) is (status == 0), done.stderr
    return done.stdout + done.stderr


def test_both_run_in_one_process_which_ends_well():
    in_a_process("""
        assert device.current().xp is cupy
        assert float(cupy.arange(4).sum()) == 6
        net = build([layer_text("Power", ["x"], ["y"], "power_param { scale: 2 }")], {"x": np.ones((2, 3))})
        assert net.forward()["y"].sum() == 12
        print(*sorted({line.split()[-1] for line in open("/proc/self/maps") if "libcu" in line or "nvrtc" in line}), sep="\\n")
        print("runtime", cupy.cuda.runtime.runtimeGetVersion(), "driver", cupy.cuda.runtime.driverGetVersion())
        """)


def test_the_mode_is_found_in_every_thread():
    in_a_process("""
        import threading
        before, seen = free(), []
        def look():
            seen.append(device.gpu_mode())
            caffe.set_mode_gpu()
            seen.append(device.gpu_mode())
        for _ in range(4):
            thread = threading.Thread(target=look)
            thread.start()
            thread.join()
        print("MiB taken by four threads:", before - free())
        assert seen == 4 * [False, True], seen
        """)


def test_labels_that_were_only_read_are_not_copied_back():
    in_a_process("""
        import time
        rng = np.random.RandomState(0)
        shape, labels = (8, 21, 256, 256), rng.randint(0, 21, (8, 1, 256, 256))
        net = build([SOFTMAX], {"x": rng.randn(*shape), "label": labels})
        net.forward(), net.backward()
        assert head_of(net.blobs["label"]).value == SYNCED
        label, new = net.blobs["label"], np.zeros((8, 1, 256, 256), np.float32)
        def writing(take):
            times = []
            for _ in range(9):
                label.data[...] = new
                take(label)
                cupy.cuda.runtime.deviceSynchronize()
                begun = time.perf_counter()
                label.data[...] = new
                times.append(time.perf_counter() - begun)
            return 1e3 * np.median(times)
        print(f"ms to write labels: {writing(device.current().read):.3f} when read, {writing(device.current().data):.3f} when taken to be written")
        device.current().data(label)
        assert head_of(label).value == AT_GPU
        """)


@pytest.mark.parametrize("non_blocking", [False, True])
def test_kernels_run_in_the_order_of_caffe(non_blocking):
    in_a_process(f"""
        text = "inner_product_param {{ num_output: 4096 weight_filler {{ type: 'gaussian' std: 0.01 }} }}"
        net = build([layer_text("InnerProduct", ["x"], ["y"], text), layer_text("InnerProduct", ["y"], ["z"], text)], {{"x": np.ones((4096, 4096))}})
        net.forward()
        for _ in range(30):
            with cupy.cuda.Stream(non_blocking={non_blocking}), device.current().of(net.blobs["z"]):
                net._forward(0, len(net.layers) - 1)  # queued, not waited for
                taken = device.current().data(net.blobs["z"]).copy()  # behind it
                device.current().data(net.blobs["z"])[...] = -1  # and before the next
            assert not bool((taken == -1).any())
        """)


def test_default_streams_of_threads_change_nothing():
    in_a_process(
        """
        blob = build([], {"x": np.ones((2, 3))}).blobs["x"]
        with device.current().of(blob):
            assert cupy.cuda.get_current_stream() == cupy.cuda.Stream.null
            assert float(device.current().data(blob).sum()) == 6
        """,
        CUPY_CUDA_PER_THREAD_DEFAULT_STREAM="1",
    )


def test_a_kernel_that_fails_is_no_silent_result():
    said = in_a_process(
        """
        bad = cupy.RawKernel('extern "C" __global__ void f(float* x) { x[1ull << 40] = 1; }', "f")
        net = build([SOFTMAX], {"x": np.ones((4, 3)), "label": np.zeros(4)})
        net.forward()
        bad((1,), (1,), (cupy.zeros(1, cupy.float32),))
        net.forward()
        """,
        status=1,
    )
    assert "illegal" in said.lower(), said


def test_what_cupy_gives_back_caffe_can_have():
    in_a_process("""
        size = int(free() * 0.97) << 20
        numbers = cupy.empty(size // 4, cupy.float32)
        del numbers
        print("free MiB while CuPy keeps it:", free())
        cupy.get_default_memory_pool().free_all_blocks()
        net = build([], {"x": np.zeros((8, 1024, 1024, 64), np.float32)})
        net.blobs["x"]._gpu_data_ptr  # 2 GiB
        """)


def test_the_mode_may_change_between_forward_and_backward():
    in_a_process("""
        net = build([SOFTMAX], {"x": np.random.RandomState(0).randn(6, 5), "label": np.arange(6) % 5})
        expected = run(net, "x")[0].copy()
        for first, second in (("gpu", "cpu"), ("cpu", "gpu")):
            for _ in range(3):
                getattr(caffe, "set_mode_" + first)()
                net.forward()
                getattr(caffe, "set_mode_" + second)()
                net.backward()
            np.testing.assert_allclose(net.blobs["x"].diff, expected, rtol=1e-5, atol=1e-7)
        """)


def test_how_far_sums_of_a_gpu_are_from_those_of_the_host():
    in_a_process("""
        worst = 0
        for size in (1000, 100_000, 10_000_000):
            numbers = np.random.RandomState(size).rand(size).astype(np.float32)
            exact = numbers.sum(dtype=np.float64)
            off = [abs(float(each) / exact - 1) for each in (cupy.asarray(numbers).sum(), numbers.sum())]
            print(size, "relative error on the GPU and on the host:", off)
            worst = max(worst, off[0])
        assert worst < 1e-4
        """)


def test_the_first_iterations_of_a_process():
    in_a_process("""
        import time
        net = build([SOFTMAX], {"x": np.random.RandomState(0).randn(256, 100), "label": np.arange(256) % 100})
        times = []
        for _ in range(5):
            begun = time.perf_counter()
            net.forward(), net.backward()
            times.append(round(1e3 * (time.perf_counter() - begun), 1))
        print("ms:", times, "pool MiB:", cupy.get_default_memory_pool().total_bytes() / 2**20)
        assert times[-1] < times[0]
        """)
