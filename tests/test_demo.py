"""`make demo` and `make results`, short and on the bundled digits; and their parts that a failure would hide in."""

import gzip
import json
import os
import re
import signal
import stat
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from tests.layers.runs import assert_gone, heed_ctrl_c

ROOT = Path(__file__).parent.parent
DEMO = ROOT / "demo"
sys.path.insert(0, str(DEMO))  # its modules find each other so, as in `python demo/run.py`

import databases  # noqa: E402
import embedding  # noqa: E402
import fashion  # noqa: E402
import imbalance  # noqa: E402
import long_tail  # noqa: E402
import losses  # noqa: E402
import mining  # noqa: E402
import retrieval  # noqa: E402
import run  # noqa: E402
import stock_caffe  # noqa: E402


def start(program, *arguments):
    return subprocess.Popen(
        [sys.executable, str(DEMO / program), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=heed_ctrl_c,
    )


# ------------------------------------------------------------------------------------------------- the whole


@pytest.fixture(scope="module")
def short_run(tmp_path_factory):
    """Output and folder of a short run on the digits."""
    folder = tmp_path_factory.mktemp("demo")
    process = start("run.py", "--quick", "--digits", "--output", str(folder))
    output, _ = process.communicate(timeout=400)
    assert process.returncode == 0, output
    return output, folder


def test_it_ends_with_numbers_that_make_sense(short_run):
    _, folder = short_run
    results = json.loads((folder / "results.json").read_text())
    recall = results["embedding"]["recall"]
    assert 0.93 < recall["raw pixels, cosine"]["recall@1"] < 0.99  # of 449 digits, exact in principle
    assert 0.93 < recall["raw pixels, Euclidean"]["recall@1"] < 0.99
    for found in recall.values():
        assert 0.93 < found["recall@1"] <= found["recall@5"] <= 1
    mined, random = (recall[f"{kind} triplets"] for kind in ("mined", "random"))
    assert mined != random
    tail = results["long tail"]
    assert tail["counts"][0] > 20 * tail["counts"][-1]
    for method, runs in tail["runs"].items():
        assert len({one["final loss"] for one in runs}) == len(runs) == 2, "the seeds make no difference"
        for one in runs:
            assert one["balanced accuracy"] > 0.6, method  # chance is 0.1
            assert one["balanced accuracy"] == pytest.approx(np.mean(one["recall"]))
            assert one["recall of the rarest"] == pytest.approx(np.mean(one["recall"][-3:]))
            assert one["final loss"] < 1


def test_it_shows_the_numbers_that_it_saves(short_run):
    output, folder = short_run
    recall = json.loads((folder / "results.json").read_text())["embedding"]["recall"]
    for found in recall.values():
        assert f"{found['recall@1']:.4f}" in output
        assert f"{found['recall@1']:.4f}" in (folder / "results.md").read_text()
    for name in long_tail.METHODS.values():
        assert name in output


def test_it_leaves_pictures_and_logs(short_run):
    _, folder = short_run
    for name in run.PICTURES:
        assert (folder / name).read_bytes()[:4] == b"\x89PNG"
        assert (folder / name).stat().st_size > 10_000
    for log in ("fashion_triplet/random_seed1_solver.log", "fashion_mining/distance_seed1_solver.log"):
        assert "Optimization Done" in (folder / log).read_text()
    assert len(list((folder / "fashion_long_tail").glob("*_solver.log"))) == 6


def test_the_seeds_reach_solver_and_data(short_run):
    _, folder = short_run
    for seed in (1, 2):
        net = folder / "fashion_long_tail" / f"infogain_seed{seed}.prototxt"
        assert stock_caffe.layer_options(str(net), "train_data")["seed"] == seed
        solver = folder / "fashion_long_tail" / f"infogain_seed{seed}_solver.prototxt"
        assert stock_caffe.read_solver(str(solver)).random_seed == seed


@pytest.mark.parametrize("program", ["run.py", "results.py"])
def test_ctrl_c_ends_the_trainings(program, tmp_path):
    more = ["--digits"] if program == "run.py" else ["--quick", "--page", str(tmp_path / "results.md")]
    process = start(program, "--output", str(tmp_path), *more)
    parent = psutil.Process(process.pid)
    deadline = time.monotonic() + 300
    children = []
    while len(children) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
        children = [child for child in parent.children(recursive=True) if child.name() == "caffe"]
    assert children, "no training began"
    everyone = parent.children(recursive=True)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 130, output
    assert "interrupted" in output
    assert_gone(everyone)


# --------------------------------------------------------------------------------------- the published results


@pytest.fixture(scope="module")
def short_results(tmp_path_factory):
    """Output, folder and page of a short run on the digits."""
    folder = tmp_path_factory.mktemp("results")
    page = folder / "docs" / "results.md"
    process = start("results.py", "--quick", "--output", str(folder / "output"), "--page", str(page))
    output, _ = process.communicate(timeout=400)
    assert process.returncode == 0, output
    return output, folder / "output", page


def test_the_results_make_sense(short_results):
    _, folder, _ = short_results
    results = json.loads((folder / "results.json").read_text())
    assert list(results["long tail"]["runs"]) == list(imbalance.METHODS)
    for method, runs in results["long tail"]["runs"].items():
        assert len({one["final loss"] for one in runs}) == 2, "the seeds make no difference"
        for one in runs:
            assert one["balanced accuracy"] > 0.5, method  # chance is 0.1
            assert one["balanced accuracy"] == pytest.approx(np.mean(one["recall"]))
    assert len({runs[0]["final loss"] for runs in results["long tail"]["runs"].values()}) == len(imbalance.METHODS)
    assert list(results["mining"]["runs"]) == list(mining.METHODS)
    assert len({runs[0]["final loss"] for runs in results["mining"]["runs"].values()}) == len(mining.METHODS)
    runs = [one for runs in results["mining"]["runs"].values() for one in runs]
    for found in (*results["mining"]["raw pixels"].values(), *runs):
        assert 0.9 < found["recall@1"] <= found["recall@5"] <= 1
    by_loss = results["losses"]["runs"]
    assert list(by_loss) == list(losses.METHODS)
    assert len({runs[0]["final loss"] for runs in by_loss.values()}) == len(losses.METHODS)
    for method, runs in by_loss.items():
        for one in runs:
            assert 0.8 < one["recall@1"] <= 1, method
            assert 0.3 < one["MAP@R"] < 1, method
    assert sorted(map(len, by_loss.values()))[-losses.NUM_BEST - 1 :] == [1] + [2] * losses.NUM_BEST


def test_the_page_has_the_figures_of_the_run(short_results):
    output, folder, page = short_results
    results, text = json.loads((folder / "results.json").read_text()), page.read_text()
    for runs in results["long tail"]["runs"].values():
        values = [one["balanced accuracy"] for one in runs]
        cell = f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}"
        assert cell in text
        assert cell in output
    for runs in results["mining"]["runs"].values():
        assert f"{np.mean([one['recall@1'] for one in runs]):.3f} ±" in text
    for found in results["mining"]["raw pixels"].values():
        assert f"{found['recall@1']:.3f}" in text
    (picture,) = re.findall(r"!\[.*\]\((.*)\)", text)
    assert (page.parent / picture).read_bytes()[:4] == b"\x89PNG"
    assert str(folder) not in text
    assert str(Path.home()) not in text
    assert os.uname().nodename not in text


def test_all_methods_are_trained_alike_but_for_what_they_are(short_results):
    _, folder, _ = short_results
    solvers = {name: stock_caffe.read_solver(str(name)) for name in folder.glob("*/*_seed*_solver.prototxt")}
    assert len(solvers) == 2 * (len(imbalance.METHODS) + len(mining.METHODS)) + len(losses.METHODS) + losses.NUM_BEST
    for solver in solvers.values():
        for field in ("net", "random_seed", "snapshot_prefix"):
            solver.ClearField(field)
    assert len({str(solver) for solver in solvers.values()}) == 2
    defers = {}
    for method in ("class_balanced", "deferred", "ldam_deferred"):
        net = str(folder / "fashion_long_tail" / f"{method}_seed2.prototxt")
        weight = stock_caffe.layer_options(net, "weight")
        defers[method] = weight.pop("defer")
        assert weight["rule"] == "effective_number"
        assert stock_caffe.layer_options(net, "train_data")["seed"] == 2
    (step, *_) = stock_caffe.read_solver(str(folder / "fashion_long_tail" / "deferred_seed1_solver.prototxt")).stepvalue
    assert defers == {"class_balanced": 0, "deferred": step, "ldam_deferred": step}
    mined = stock_caffe.layer_options(str(folder / "fashion_mining" / "hard_seed1.prototxt"), "train_data")
    drawn = stock_caffe.layer_options(str(folder / "fashion_triplet" / "random_seed1.prototxt"), "train_data")
    assert 3 * drawn["batch_size"] == mined["classes_per_batch"] * mined["samples_per_class"]


def test_the_deferred_example_defers_to_where_the_rate_falls():
    examples = ROOT / "prototxt_examples"
    solver = stock_caffe.read_solver(str(examples / imbalance.SOLVER))
    assert stock_caffe.layer_options(str(examples / solver.net), "weight")["defer"] == solver.stepvalue[0]


def test_held_out_images_are_training_images_that_are_not_trained_on():
    whole = fashion.digits()
    part = fashion.held_out(whole)
    pool = {image.tobytes() for image in whole.train_images}
    held = {image.tobytes() for image in part.test_images}
    assert held <= pool
    assert not held & {image.tobytes() for image in part.train_images}
    assert len(part.train_labels) + len(part.test_labels) == len(whole.train_labels)
    counts = np.bincount(whole.train_labels)
    assert np.bincount(part.test_labels).tolist() == (counts // 6).tolist()


# ---------------------------------------------------------------------------------------------- the images


def package_files(folder, images=(20, 10), cut=0):
    """Write the package's four files, small; `cut` bytes are missing from the end of the first."""
    folder.mkdir(parents=True, exist_ok=True)
    shapes = [(images[0], 28, 28), (images[0],), (images[1], 28, 28), (images[1],)]
    files = []
    for (name, _), shape in zip(fashion._FILES, shapes):
        values = np.arange(np.prod(shape)).astype(np.uint8) % 10
        head = struct.pack(f">4B{len(shape)}I", 0, 0, 8, len(shape), *shape)
        content = gzip.compress(head + values.tobytes())
        (folder / name).write_bytes(content[: len(content) - cut])
        files.append((name, shape))
        cut = 0
    return tuple(files)


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A machine without the package, with an empty cache and no programs."""
    monkeypatch.setattr(fashion, "INSTALLED", str(tmp_path / "installed"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    return tmp_path


def program(elsewhere, name, script):
    path = elsewhere / "bin" / name
    path.write_text(f"#!/bin/sh\nPATH=/bin:/usr/bin\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_an_installed_package_is_read(elsewhere, monkeypatch):
    monkeypatch.setattr(fashion, "_FILES", package_files(elsewhere / "installed"))
    dataset = fashion.fashion_mnist()
    assert dataset.train_images.shape == (20, 28, 28)
    assert dataset.test_labels.tolist() == list(range(10))
    assert str(elsewhere / "installed") in dataset.origin


def test_the_package_is_fetched_into_the_cache(elsewhere, monkeypatch):
    monkeypatch.setattr(fashion, "_FILES", package_files(elsewhere / "archive"))
    program(elsewhere, "apt-get", "touch fashion.deb")
    unpacked = fashion.INSTALLED.lstrip("/")
    program(elsewhere, "dpkg-deb", f"mkdir -p {unpacked} && cp {elsewhere}/archive/* {unpacked}")
    assert len(fashion.fashion_mnist().train_labels) == 20
    assert os.listdir(elsewhere / "cache" / "caffe_pylayers") == ["fashion-mnist"]
    program(elsewhere, "apt-get", "exit 1")  # from now on the cache serves
    assert len(fashion.fashion_mnist().train_labels) == 20


def test_a_damaged_cache_is_fetched_anew(elsewhere, monkeypatch):
    monkeypatch.setattr(fashion, "_FILES", package_files(elsewhere / "archive"))
    package_files(elsewhere / "cache" / "caffe_pylayers" / "fashion-mnist", cut=30)
    program(elsewhere, "apt-get", "touch fashion.deb")
    unpacked = fashion.INSTALLED.lstrip("/")
    program(elsewhere, "dpkg-deb", f"mkdir -p {unpacked} && cp {elsewhere}/archive/* {unpacked}")
    assert len(fashion.fashion_mnist().train_labels) == 20


@pytest.mark.parametrize("broken", ["apt-get", "dpkg-deb"])
def test_a_failed_download_leaves_nothing_and_the_digits_take_over(elsewhere, broken):
    for name, script in (("apt-get", "touch fashion.deb part.of.it"), ("dpkg-deb", "mkdir usr")):
        program(elsewhere, name, script if name != broken else f"{script}; echo 'no such luck'; exit 1")
    said = []
    dataset = run.choose_images(False, said.append)
    assert dataset.name == "digits"
    assert "no such luck" in said[0]
    assert "digits" in said[1]
    assert os.listdir(elsewhere / "cache" / "caffe_pylayers") == []


def test_without_debian_the_digits_take_over(elsewhere):
    said = []
    dataset = run.choose_images(False, said.append)
    assert (dataset.name, len(dataset.train_labels), len(dataset.test_labels)) == ("digits", 1348, 449)
    assert set(dataset.train_labels) == set(dataset.test_labels) == set(range(10))
    assert "apt-get or dpkg-deb is missing" in said[0]


@pytest.mark.parametrize("damage", ["cut", "shape", "not gzip"])
def test_a_damaged_file_is_named(tmp_path, damage):
    (name, shape), *_ = package_files(tmp_path, cut=5 if damage == "cut" else 0)
    if damage == "not gzip":
        (tmp_path / name).write_bytes(b"<html>")
    if damage == "shape":
        shape = (21, 28, 28)
    with pytest.raises(fashion.Unavailable, match=name):
        fashion.read_idx(str(tmp_path / name), shape)


# ----------------------------------------------------------------------------------------------- databases


def test_a_database_is_kept_if_it_is_the_right_one(tmp_path):
    images = np.zeros((6, 28, 28), np.uint8)
    labels = np.arange(6)
    path = str(tmp_path / "lmdb")
    assert databases.provide_lmdb(path, images, labels)
    assert not databases.provide_lmdb(path, images, labels)
    assert databases.provide_lmdb(path, images[:4], labels[:4])
    (tmp_path / "lmdb" / "data.mdb").write_bytes(b"cut short")
    assert databases.provide_lmdb(path, images, labels)
    assert not databases.provide_lmdb(path, images, labels)


def test_the_long_tail_has_the_published_profile():
    labels = np.tile(np.arange(10), 6000)
    chosen, counts = databases.choose_long_tail(labels, 10, 100)
    assert counts == [6000, 3597, 2156, 1293, 775, 465, 278, 167, 100, 60]
    assert np.bincount(labels[chosen]).tolist() == counts
    assert (np.diff(chosen) > 0).all()
    assert chosen[:10].tolist() == list(range(10))  # the first ones of each class


def test_on_few_images_the_ratio_gives_way():
    _, counts = databases.choose_long_tail(np.tile(np.arange(10), 100), 10, 100)
    assert (counts[0], counts[-1]) == (100, databases.FEWEST)


# ---------------------------------------------------------------------------------------------- evaluation


def test_retrieval_equals_a_plain_loop():
    random = np.random.default_rng(0)
    vectors, labels = random.normal(size=(57, 4)).astype(np.float32), random.integers(0, 4, 57)
    found = retrieval.retrieve(vectors, labels, block=10)
    for query, vector in enumerate(vectors):
        distances = [(float(((vector - other) ** 2).sum()), n) for n, other in enumerate(vectors) if n != query]
        nearest = [n for _, n in sorted(distances)[:5]]
        assert found.nearest[query].tolist() == nearest
        assert found.right[query].tolist() == [labels[n] == labels[query] for n in nearest]
    assert found.recall(1) == pytest.approx(np.mean(found.right[:, 0]))
    assert found.recall(5) == pytest.approx(np.mean([any(row) for row in found.right]))


def test_recall_of_each_class():
    labels, predicted = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 2, 0])
    np.testing.assert_allclose(long_tail.recalls(predicted, labels, 3), [2 / 3, 1 / 2, 0])


def test_a_gain_is_clear_only_beyond_its_error():
    def runs(*values):
        return [{"accuracy": value} for value in values]

    stock = runs(0.80, 0.81, 0.82)
    assert "+0.050 (clear" in long_tail.gain(runs(0.85, 0.86, 0.87), stock, "accuracy")
    assert "+0.005 (within the noise" in long_tail.gain(runs(0.805, 0.815, 0.825), stock, "accuracy")
    assert "-0.050 (clear" in long_tail.gain(runs(0.75, 0.76, 0.77), stock, "accuracy")


def test_a_failed_training_shows_the_end_of_its_log(tmp_path):
    runs = embedding.prepare(str(ROOT / "prototxt_examples"), str(tmp_path), quick=True)  # but no LMDB is there
    with pytest.raises(stock_caffe.TrainingFailed, match="train_lmdb") as failure:
        stock_caffe.train([runs[0].training], 1, lambda running: None)
    assert "solver.log" in str(failure.value)
