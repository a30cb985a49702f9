"""The loop as a notebook has it, and what it refuses before Caffe would abort or go wrong."""

import itertools
import os
import re
import resource
import shutil

import caffe
import numpy as np
import pytest

from caffe_pylayers.errors import ConfigError, DataError
from caffe_pylayers.training import Training
from caffe_pylayers.training.passes import Outputs
from tests.caffe_nets import build, layer_text
from tests.training import failing
from tests.training.runs import DROPOUT, NO_GPU_99


@pytest.fixture
def run(folder, monkeypatch):
    """A folder that is the working directory."""

    def make(*args, **special):
        made = folder(*args, **special)
        monkeypatch.chdir(made.path)
        return made

    return make


def test_rows_in_a_notebook(run):
    run(max_iter=5, snapshot=0)
    training = Training("solver.prototxt")
    train, test = ["train accuracy", "train loss"], ["test accuracy", "test loss"]
    assert training.output_names == train + test
    assert training.images_per_iteration == 5
    assert training.notes == [
        f"layer '{name}_data': 37 records, 8 batches of 5 per epoch" for name in ("train", "test")
    ]
    rows = list(training)
    training.close()
    assert [row.iteration for row in rows] == [0, 1, 2, 3, 4]
    assert [sorted(row.outputs) for row in rows] == [test + train, train, train, train, test + train]
    assert all(np.isfinite(row.loss) and row.images_per_s > 0 and 0 <= row.waiting <= 1 for row in rows)
    assert [row.lr for row in rows] == pytest.approx([0.01, 0.01, 0.01, 0.005, 0.005])
    assert training.iteration == 5
    assert list(training) == []


def test_the_loss_is_that_of_all_losses_and_passes(run):
    """loss_weight of several losses, iter_size; the outputs of the train net are those of the last pass."""
    more = 'layer { name: "size"  type: "Reduction"  bottom: "conv"  top: "size"  loss_weight: 0.5  reduction_param { operation: SUMSQ } }'
    run(more=more, iter_size=2, max_iter=1)
    training = Training("solver.prototxt")
    seen = []
    blobs, last = training.solver.net.blobs, len(training.solver.net.layers) - 1
    training.solver.net.after_forward(
        lambda layer: seen.append((float(blobs["size"].data), float(blobs["loss"].data))) if layer == last else None
    )
    row = next(iter(training))
    training.close()
    assert len(seen) == 2
    assert row.loss == pytest.approx(np.mean([0.5 * size + loss for size, loss in seen]))
    assert row.outputs["train size"] == seen[-1][0]
    assert row.outputs["train loss"] == seen[-1][1]
    assert training.images_per_iteration == 10


@pytest.mark.parametrize("prefetch", [0, 2])
def test_the_share_of_waiting(run, prefetch):
    """Where images are slow to make it is nearly all, where the net is slow next to nothing; test passes do not count."""
    images = run("slow images", test_iter=1, test_interval=1)
    net = images.path / "net.prototxt"
    slow = f"'mirror': True, 'transform': 'failing:slow_image', 'prefetch': {prefetch}"
    net.write_text(net.read_text().replace("'mirror': True", slow).replace(", 'prefetch': 2, 'resume'", ", 'resume'"))
    training = Training("solver.prototxt")
    shares = [row.waiting for row in itertools.islice(training, 6)]
    training.close()
    assert np.median(shares) > 0.7

    run("slow net", more=failing.layer("slow"), test_iter=1, test_interval=1)
    training = Training("solver.prototxt")
    shares = [row.waiting for row in itertools.islice(training, 6)]
    training.close()
    assert np.median(shares) < 0.3


def test_the_share_of_images_from_the_cache(run):
    """Nothing in the first of 8 batches that cover the 37 images, nearly all behind them; None without a cache."""
    net = run(max_iter=16, snapshot=0, test_iter=1, test_interval=100).path / "net.prototxt"
    assert all(row.cached is None for row in itertools.islice(Training("solver.prototxt"), 1))
    net.write_text(net.read_text().replace("'mirror': True", "'mirror': True, 'cache': 'memory'"))
    training = Training("solver.prototxt")
    shares = [row.cached for row in training]
    training.close()
    assert shares[0] == 0 and set(shares[8:]) == {1}


def test_stop_and_snapshot_from_elsewhere(run):
    made = run()
    training = Training("solver.prototxt")
    for row in training:
        if row.iteration == 1:
            training.request_snapshot()
        if row.iteration == 3:
            training.stop()  # iteration 4 would begin with a test
    training.close()
    assert training.iteration == 4
    assert training.snapshot() == "snap/net_iter_4.solverstate"
    written = os.stat("snap/net_iter_4.solverstate").st_mtime_ns
    training.snapshot()
    assert os.stat("snap/net_iter_4.solverstate").st_mtime_ns == written  # it is there, and stays as it is
    assert {name for name in made.snapshots() if name.endswith("state")} == {
        "net_iter_3.solverstate",
        "net_iter_4.solverstate",
    }


def test_a_test_pass_is_left_at_once(run):
    """Its iteration does not begin, so a resumed run begins with the whole test."""
    run(test_interval=2, test_iter=1000)
    training = Training("solver.prototxt")
    done = []

    def after(layer):
        done.append(layer)
        if len(done) == 20:
            training.stop()

    training.solver.test_nets[0].after_forward(after)
    assert list(training) == []
    training.close()
    assert training.iteration == 0
    assert len(done) < 40


def test_outputs_of_a_net():
    """Vectors have a name a number; what is as long as a batch is left out."""
    layers = [
        layer_text("Split", ["three"], ["copy"]),
        layer_text("Split", ["batch"], ["many"]),
        layer_text("Reduction", ["three"], ["sum"]),
    ]
    net = build(layers, {"three": np.arange(3.0), "batch": np.zeros(33)}, force_backward=False)
    net.forward()
    outputs = Outputs(net, "test")
    assert dict(zip(outputs.names, outputs.read().tolist())) == {
        "test copy[0]": 0, "test copy[1]": 1, "test copy[2]": 2, "test sum": 3
    }  # fmt: skip


def test_what_a_state_does_not_hold_is_said(run):
    made = run(more=DROPOUT, max_iter=1)
    for _ in Training("solver.prototxt"):
        pass
    net = made.path / "net.prototxt"
    net.write_text(
        net.read_text().replace(", 'resume': True", "").replace("param { lr_mult: 0  decay_mult: 0 }", "", 1)
    )
    weights = caffe.Net("net.prototxt", caffe.TRAIN)
    weights.save("snap/net_iter_1.caffemodel")
    made.write_solver(max_iter=2)
    with pytest.raises(DataError) as error:
        Training("solver.prototxt", resume=True)
    assert "5 blobs of history" in error.value.problem and "'SGD' keeps 1 for each of 4" in error.value.problem
    training = Training("solver.prototxt")
    next(iter(training))
    training.snapshot()
    notes = Training("solver.prototxt", resume=True).notes
    assert notes[0] == "continuing from snap/net_iter_1.solverstate, iteration 1"
    assert notes[1].startswith("layer 'train_data': its data begins at the first batch again; with 'resume': True")
    assert notes[2].startswith("layer 'drop' (Dropout): its masks begin again from random_seed")


def _hdf5(made):
    made.write_solver(snapshot_format="HDF5")


def _no_folder(made):
    shutil.rmtree(made.snap)


def _unknown_field(made):
    made.write_solver(wieght_decay=1)


def _zero(made):
    made.write_solver(max_iter=0)


def _policy(made):
    made.write_solver(lr_policy='"stpe"')


def _gpu(made):
    made.write_solver(solver_mode="GPU", device_id=99)


def _small_files(made):
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


REFUSED = {
    _hdf5: r"solver.prototxt: snapshot_format HDF5: .* silently not the weights; use BINARYPROTO",
    _no_folder: r"solver.prototxt: snapshot_prefix 'snap/net': there is no folder /.*/snap; make it",
    _unknown_field: r'solver.prototxt:\d+:\d+ : .* no field named "wieght_decay"',
    _zero: r"solver.prototxt: max_iter is 0; give the number of iterations",
    _policy: r"lr_policy 'stpe': Caffe has fixed, step, exp, inv, multistep, poly, sigmoid",
    _small_files: r"a file may have 0.001 MB, but one of a snapshot has .* MB, and Caffe aborts; raise the limit: `ulimit -f",
    _gpu: re.escape("GPU 99 is requested, but " + NO_GPU_99),
}  # fmt: skip


@pytest.mark.parametrize("break_it", REFUSED, ids=lambda break_it: break_it.__name__)
def test_solvers_that_are_refused(run, break_it):
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    break_it(run())
    try:
        with pytest.raises(ConfigError, match=REFUSED[break_it]):
            Training("solver.prototxt")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)


def test_prefixes_as_caffe_completes_them(run):
    made = run(snapshot_prefix=None)
    assert Training("solver.prototxt").parameter.snapshot_prefix == "solver"
    made.write_solver(snapshot_prefix='"snap"')
    assert Training("solver.prototxt").parameter.snapshot_prefix == "snap/solver"


def test_weights_and_states_that_do_not_fit(run):
    made = run("small", max_iter=1, snapshot=0)
    for _ in Training("solver.prototxt"):
        pass
    state, weights = (str(made.snap / f"net_iter_1.{kind}") for kind in ("solverstate", "caffemodel"))

    run("other solver", type='"Adam"')
    with pytest.raises(DataError) as error:
        Training("solver.prototxt", resume=os.path.relpath(_with_weights(state)))
    assert "5 blobs of history" in error.value.problem and "'Adam' keeps 2 for each of 5" in error.value.problem
    other = run("other net")
    net = other.path / "net.prototxt"
    whole = net.read_text()
    net.write_text(whole.replace("num_output: 5", "num_output: 6"))
    sizes = "layer 'scores' has shape 5 x 100 and 5 in the weights, but 6 x 100 and 6 in the net\n"
    with pytest.raises(DataError) as error:
        Training("solver.prototxt", weights=[weights])
    assert error.value.problem.startswith(f"{weights}: {sizes}")
    with pytest.raises(DataError) as error:
        Training("solver.prototxt", resume=_with_weights(state))
    assert error.value.problem.startswith(state) and f"\n{sizes}" in error.value.problem
    net.write_text(whole.replace("  param { lr_mult: 0  decay_mult: 0 }\n", "").replace(", 'resume': True", ""))
    without = "layer 'train_data' has 1 blobs in the weights, but 0 in the net\n"
    for given in ({"weights": [weights]}, {"resume": _with_weights(state)}):
        with pytest.raises(DataError) as error:
            Training("solver.prototxt", **given)
        assert without in error.value.problem
    swapped = whole.replace('"train_data"', '"other_data"').replace('"test_data"', '"train_data"')
    net.write_text(swapped)  # a test net is loaded with the weights too, but not restored
    with pytest.raises(DataError) as error:
        Training("solver.prototxt", weights=[weights])
    assert without in error.value.problem and "an empty memory or a new position" in error.value.problem
    net.write_text(whole.replace('name: "', 'name: "new_'))
    with pytest.raises(DataError) as error:
        Training("solver.prototxt", weights=[weights])
    assert error.value.source == weights
    assert all(part in error.value.remedy for part in ("it has train_data, conv, scores", "new_train_data"))
    with pytest.raises(ConfigError) as error:
        Training("solver.prototxt", weights=[weights], resume=True)
    assert "resume" in error.value.problem and "weights" in error.value.problem


def _with_weights(state):
    """The state, whose weights are looked for from the working directory."""
    shutil.copytree(os.path.dirname(state), "snap", dirs_exist_ok=True)
    return state
