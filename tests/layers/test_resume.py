"""A run restored from a snapshot goes on with the very next batch, bit for bit, in the real `caffe` program."""

import os
import re
import signal

import caffe
import numpy as np
import pytest

from tests.layers.runs import ROOT, Run


@pytest.fixture
def options(photos):
    return {
        "source_type": "LMDB", "source": photos.lmdb, "batch_size": 5, "resize": [30, 28], "crop_size": 24,
        "mirror": True, "prefetch": True, "workers": 2, "resume": True, "seed": 4,
    }  # fmt: skip


@pytest.mark.parametrize(
    "layer, more, iter_size", [("ImageDataLayer", {"shuffle": True}, 1), ("TripletDataLayer", {}, 2)]
)
def test_snapshot_by_interval(tmp_path, options, layer, more, iter_size):
    run = Run(tmp_path / "run", layer, **options, **more).solver(iter_size=iter_size, snapshot=7)
    run.train()
    unbroken, tests = run.record(), run.record("test")
    assert len(unbroken) == 14 * iter_size
    assert len(set(unbroken)) == len(unbroken)
    assert len(tests) == 3 * 4  # at iterations 0, 4, 8, 12
    assert tests[:3] * 4 == tests
    run.forget()
    run.train("--snapshot=net_iter_7.solverstate")
    assert run.record() == unbroken[7 * iter_size :]


LABELS = """
layer { name: "weights"  type: "Python"  bottom: "label"  top: "weights"  param { lr_mult: 0  decay_mult: 0 }
  python_param { module: "caffe_pylayers"  layer: "SampleWeight"  param_str: "n_classes: 20, counts: running, \
defer: 5, iter_size: 2, resume: true" } }
layer { name: "flips"  type: "Python"  bottom: "label"  top: "flips"  param { lr_mult: 0  decay_mult: 0 }
  python_param { module: "caffe_pylayers"  layer: "LabelNoise"  param_str: "distribution: flip, n_classes: 20, \
probability: 1, iter_size: 2, resume: true" } }
layer { name: "sphere"  type: "Python"  bottom: "data"  bottom: "label"  top: "sphere"  top: "lambda"
  param { lr_mult: 1 }  param { lr_mult: 0  decay_mult: 0 }
  python_param { module: "caffe_pylayers"  layer: "MarginInnerProduct"  param_str: "num_output: 20, type: QUADRUPLE, \
iter_size: 2, resume: true" } }
layer { name: "large"  type: "Python"  bottom: "data"  bottom: "label"  top: "large"
  param { lr_mult: 1 }  param { lr_mult: 0  decay_mult: 0 }
  python_param { module: "caffe_pylayers"  layer: "LargeMarginInnerProduct"  param_str: "num_output: 20, type: TRIPLE, \
gamma: 0.1, iter_size: 2, resume: true" } }
layer { name: "of_sphere"  type: "SoftmaxWithLoss"  bottom: "sphere"  bottom: "label"  top: "of_sphere" }
layer { name: "of_large"  type: "SoftmaxWithLoss"  bottom: "large"  bottom: "label"  top: "of_large"  loss_weight: 0.001 }
layer { name: "pairs"  type: "Python"  bottom: "sphere"  bottom: "label"  top: "pairs"  loss_weight: 0.1
  param { lr_mult: 0  decay_mult: 0 }  param { lr_mult: 0  decay_mult: 0 }  param { lr_mult: 0  decay_mult: 0 }
  python_param { module: "caffe_pylayers"  layer: "BatchPairLoss"  param_str: "type: contrastive, neg_margin: 2, mining: distance, \
memory: 50, iter_size: 2" } }
layer { name: "recorder"  type: "Python"  bottom: "weights"  bottom: "flips"  bottom: "sphere"  bottom: "lambda"  bottom: "large"  bottom: "pairs" """


def test_class_weights_label_noise_margins_and_a_memory_go_on(tmp_path, options):
    """Running counts, deferred weights before and after they begin, flips, lambdas and what learns by them; TEST reads the same counts.

    The memory holds 32 of 50 embeddings at the first snapshot, and has come around at the second.
    """
    options.update(batch_size=4, shuffle=True, iter_size=2)
    run = Run(tmp_path / "run", "ImageDataLayer", **options).solver(iter_size=2, snapshot=4)
    net = run.folder / "net.prototxt"
    text = net.read_text()
    recorder = 'layer { name: "recorder"  type: "Python"  bottom: "data" bottom: "label"'
    assert recorder in text
    net.write_text(text.replace(recorder, LABELS))
    log = run.train()
    assert log.count("SampleWeight: iteration 5: from now on class weights") == 1
    unbroken, tests = run.record(), run.record("test")
    assert len(unbroken) == len(set(unbroken)) == 28
    assert len(set(tests)) == len(tests) == 3 * 4
    for number in (4, 8):
        run.forget()
        log = run.train(f"--snapshot=net_iter_{number}.solverstate")
        assert log.count("SampleWeight: iteration 5: from now on class weights") == (number < 5)
        assert run.record() == unbroken[2 * number :]
        assert run.record("test") == tests[3 * (number // 4) :]


def test_snapshot_by_ctrl_c(tmp_path, options):
    reference = Run(tmp_path / "reference", "TripletDataLayer", **options).solver(max_iter=60, iter_size=2)
    reference.train()
    run = Run(tmp_path / "run", "TripletDataLayer", **options).solver(max_iter=1_000_000, iter_size=2)
    process = run.caffe()
    run.wait_for_batches(process, 9)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to Caffe and its workers alike
    log, _ = process.communicate(timeout=200)
    assert process.returncode == 0, log
    (state,) = run.folder.glob("*.solverstate")
    stopped = int(re.findall(r"\d+", state.name)[-1])
    assert len(run.record()) == 2 * stopped
    run.solver(max_iter=stopped + 5, iter_size=2).train(f"--snapshot={state.name}")
    assert len(run.record()) == 2 * (stopped + 5)
    common = min(len(run.record()), len(reference.record()))
    assert run.record()[:common] == reference.record()[:common]


def test_the_snapshot_loads_in_a_deploy_net(tmp_path, options):
    run = Run(tmp_path / "run", "ImageDataLayer", **options).solver(max_iter=3)
    run.train()
    deploy = tmp_path / "deploy.prototxt"
    deploy.write_text("""
        layer { name: "data"  type: "Input"  top: "data"  input_param { shape { dim: 1 dim: 3 dim: 24 dim: 24 } } }
        layer { name: "ip"  type: "InnerProduct"  bottom: "data"  top: "ip"  inner_product_param { num_output: 2 } }""")
    net = caffe.Net(str(deploy), caffe.TEST, weights=str(run.folder / "net_iter_3.caffemodel"))
    assert np.abs(net.params["ip"][0].data).sum() > 0


@pytest.mark.parametrize("solver", ["SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam"])
def test_no_solver_touches_the_count(tmp_path, options, solver, monkeypatch, caplog):
    """With weight decay and clipping on."""
    del options["prefetch"], options["workers"]
    run = Run(tmp_path / "run", "ImageDataLayer", **options).solver(solver=solver)
    monkeypatch.chdir(run.folder)
    monkeypatch.syspath_prepend(ROOT / "tests")  # the recorder
    unbroken = caffe.get_solver("solver.prototxt")
    unbroken.step(3)
    unbroken.snapshot()
    unbroken.step(3)
    restored = caffe.get_solver("solver.prototxt")
    restored.restore("net_iter_3.solverstate")
    restored.step(3)
    batches = run.record()
    assert len(set(batches)) == 6
    assert batches[6:] == batches[3:6]
    assert "the snapshot was taken with" not in caplog.text


def test_other_options_are_noticed(tmp_path, options):
    run = Run(tmp_path / "run", "ImageDataLayer", **options).solver(max_iter=3, snapshot=3)
    run.train()
    net = run.folder / "net.prototxt"
    net.write_text(net.read_text().replace("'batch_size': 5", "'batch_size': 6"))
    log = run.solver(max_iter=4).train("--snapshot=net_iter_3.solverstate")
    assert log.count("at batch 3 of the new order (epoch 0, sample 18)") == 1
    log = run.solver(max_iter=6).train("--snapshot=net_iter_4.solverstate")
    assert "of the new order" not in log


def test_without_resume_a_restored_run_starts_again(tmp_path, options):
    options["resume"] = False
    run = Run(tmp_path / "run", "ImageDataLayer", **options).solver(max_iter=8, snapshot=4)
    run.train()
    unbroken = run.record()
    run.forget()
    run.train("--snapshot=net_iter_4.solverstate")
    assert run.record() == unbroken[:4]


def test_a_missing_param_block_is_told_before_it_does_harm(tmp_path, options):
    run = Run(tmp_path / "run", "ImageDataLayer", **options)
    net, solver = run.folder / "net.prototxt", run.folder / "solver.prototxt"
    net.write_text(net.read_text().replace("param { lr_mult: 0  decay_mult: 0 }", ""))
    solver.write_text(solver.read_text().replace("1e-6", "0.1"))
    process = run.caffe()
    log, _ = process.communicate(timeout=200)
    assert process.returncode != 0
    assert "caffe_pylayers: ImageDataLayer: the solver has changed the blob with the layer's position" in log
    assert len(run.record()) == 1
