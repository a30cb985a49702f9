"""What the commands say of a data layer that mixes several sources."""

import cv2
import numpy as np
import pytest
from caffe import NetSpec

from caffe_pylayers import DataError, netspec
from caffe_pylayers.caffe_files import nets
from caffe_pylayers.caffe_files.datum import Datum
from caffe_pylayers.caffe_files.nets import TEST, TRAIN, NetState
from caffe_pylayers.commands.balance.net_labels import of_blob, of_net
from caffe_pylayers.commands.bench.run import closing, run_net
from caffe_pylayers.commands.bench.stages import stages
from caffe_pylayers.commands.check.checking import check_files
from caffe_pylayers.commands.export.fed_shapes import fed_shapes
from caffe_pylayers.commands.layer_files import files_read
from caffe_pylayers.commands.preview.fed_batch import fed_by
from caffe_pylayers.commands.preview.fed_values import channels, findings
from caffe_pylayers.data.sources.lmdb import write_lmdb
from tests.caffe_nets import layer_text, python_layer
from tests.refusals import refused

SOURCES = [{"source": "list.csv"}, {"source_type": "LMDB", "source": "lmdb", "labels": "labels.txt"}]
MIXED = {"sources": SOURCES, "per_batch": [3, 1], "resize": 6, "domain": True}
TOPS = ["data", "label", "domain"]
SCORES = layer_text("InnerProduct", ["data"], ["scores"], "inner_product_param { num_output: 4 }")


@pytest.fixture
def net(tmp_path, monkeypatch):
    """A function: layers -> the net. Its sources are a list of 12 images, with 4 classes, and an LMDB of 6, whose labels are elsewhere."""
    monkeypatch.chdir(tmp_path)
    for number in range(12):
        cv2.imwrite(f"{number}.png", np.full((6, 6, 3), number, np.uint8))
    (tmp_path / "list.csv").write_text("".join(f"{number}.png,{number % 4}\n" for number in range(12)))
    write_lmdb("lmdb", (Datum(bytes([100 + number] * 108), 9, 3, 6, 6) for number in range(6)))
    (tmp_path / "labels.txt").write_text("0\n1\n1\n2\n2\n2\n")

    def written(*layers):
        (tmp_path / "net.prototxt").write_text("".join(layers))
        return nets.read_net("net.prototxt")

    return written


def mixed(tops=TOPS, **more):
    return python_layer("ImageDataLayer", [], tops, {**MIXED, **more})


def found(**options):
    return [finding.message for finding in check_files(["net.prototxt"], build=False, **options).findings]


def test_nothing_is_wrong(net):
    net(
        mixed(),
        SCORES,
        layer_text("SoftmaxWithLoss", ["scores", "label"], ["loss"]),
        layer_text("Power", ["domain"], ["again"]),
    )
    report = check_files(["net.prototxt"], build=True)
    assert (report.findings, report.skipped, report.sources) == ([], [], 1)


def test_labels_of_each_source_are_compared_with_the_loss(net, tmp_path):
    net(mixed(), SCORES, layer_text("SoftmaxWithLoss", ["scores", "label"], ["loss"]))
    (tmp_path / "labels.txt").write_text("0\n1\n1\n2\n7\n2\n")
    assert any("label 7" in message and "lmdb: record 4" in message for message in found())


@pytest.mark.parametrize(
    ("point", "part", "label", "record"),
    [(3, "first", 9, "list.csv: record 4"), (3, "second", 7, "lmdb: record 4"), (2, "second", 9, "list.csv: record 4")],
)
def test_rows_of_sources_behind_a_slice_are_compared_with_their_loss(net, tmp_path, point, part, label, record):
    """Of a layer without `per_batch` nobody knows which labels come in which rows."""
    (tmp_path / "labels.txt").write_text("0\n1\n1\n2\n7\n2\n")
    (tmp_path / "list.csv").write_text("".join(f"{number}.png,{9 if number == 4 else 0}\n" for number in range(12)))
    rows = f"slice_param {{ axis: 0  slice_point: {point} }}"
    behind = [
        *(layer_text("Slice", [blob], [f"first_{blob}", f"second_{blob}"], rows) for blob in ("data", "label")),
        SCORES.replace('"data"', f'"{part}_data"'),
        layer_text("SoftmaxWithLoss", ["scores", f"{part}_label"], ["loss"]),
    ]
    net(mixed(), *behind)
    (message,) = found()
    assert f"label {label}" in message and record in message
    net(python_layer("ImageDataLayer", [], ["data", "label"], {"source": "list.csv", "batch_size": 4}), *behind)
    assert found() == []


def test_labels_that_a_transform_changes_are_those_of_the_rows_too(net, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "adding_to_labels.py").write_text(
        "def ten(image, rng, labels):\n    return image, labels + 10 * (image[0, 0, 0] >= 100)\n"
    )
    loss = [SCORES.replace("data", "a"), layer_text("SoftmaxWithLoss", ["scores", "first"], ["loss"])]
    for part, wrong in (("first", False), ("second", True)):
        slices = [
            layer_text(
                "Slice",
                ["data"],
                ["a", "b"] if part == "first" else ["b", "a"],
                "slice_param { axis: 0  slice_point: 3 }",
            ),
            layer_text(
                "Slice",
                ["label"],
                ["first", "other"] if part == "first" else ["other", "first"],
                "slice_param { axis: 0  slice_point: 3 }",
            ),
        ]
        net(mixed(transform="adding_to_labels:ten"), *slices, *loss)
        assert any("label 1" in message and "lmdb" in message for message in found(code=True)) == wrong


def test_domains_are_compared_with_the_loss(net):
    few = SCORES.replace("num_output: 4", "num_output: 1")
    net(mixed(), few, layer_text("SoftmaxWithLoss", ["scores", "domain"], ["loss"]))
    assert any("label 1" in message and "lmdb: record 0" in message for message in found())


@pytest.mark.parametrize("tops", [["data", "label"], ["data", "sample_weight", "domain"]])
def test_a_top_that_is_fed_something_else_than_it_is_called(net, tops):
    net(mixed(tops))
    assert any(f"top '{tops[1]}' is fed" in message for message in found())
    for remedy in (["data", "label", "domain"], ["data", "numbers"]):
        net(mixed(remedy))
        assert not found()


@pytest.mark.parametrize("bad", [0, 11])
def test_the_first_and_the_last_record_of_each_source_are_looked_at(net, tmp_path, bad):
    net(mixed())
    (tmp_path / f"{bad}.png").write_bytes(b"no image")
    assert any(f"record {bad} ('{bad}.png')" in message for message in found())


def test_images_that_look_wrong_in_another_source_than_the_first(net):
    write_lmdb("turned", (Datum(bytes(range(108)), 9, 6, 6, 3) for _ in range(6)))
    net(mixed(["data", "domain"], sources=[SOURCES[0], {**SOURCES[1], "source": "turned"}], color=False))
    assert any(
        "turned: record 0" in message and "look like height x width x channels" in message for message in found()
    )


def test_what_is_missing_is_found_by_its_place(net):
    net(mixed(sources=[SOURCES[0], {**SOURCES[1], "source": "nowhere"}]))
    assert any("option 'sources[1].source': no file or folder" in message for message in found())
    net(
        mixed(
            ["data", "label", "weight", "domain"], sources=[SOURCES[0], {**SOURCES[1], "sample_weights": "labels.txt"}]
        )
    )
    assert any("one sample weight" in message and "no sample weights" in message for message in found())
    net(mixed(sources=[SOURCES[0], {**SOURCES[1], "sample_weights": "labels.txt"}]))
    assert any("'sample_weights' has no effect" in message for message in found())
    net(mixed(["data"]))
    assert any("found 1 top, expected 2 to 4: data, [label], [sample_weight], domain" in message for message in found())


def test_code_of_a_source_is_not_run_unasked(net, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "a_source_of_a_user.py").write_text("open('imported', 'w').close()\n")
    net(mixed(sources=[SOURCES[0], {**SOURCES[1], "source_type": "a_source_of_a_user:Own"}]))
    found()
    assert not (tmp_path / "imported").exists()
    found(code=True)
    assert (tmp_path / "imported").exists()


def test_balance_counts_labels_as_often_as_they_are_fed(net):
    made = net(mixed(per_batch=[3, 3]))
    counts = of_net(made, NetState(TRAIN))
    fed = of_blob(made, NetState(TRAIN), "label", range(4))  # the list once, the LMDB twice
    assert counts.counts.tolist() == fed.counts.tolist() == [5, 7, 9, 3]
    assert counts.num_records == 18 and str(counts.epoch) == "18 records, 4 batches of 6 per epoch"
    assert "times 1, 2" in counts.of
    once = of_net(net(mixed(per_batch=None, batch_size=6)), NetState(TEST))
    assert once.counts.tolist() == [4, 5, 6, 3] and "times" not in once.of


def test_balance_of_sources_that_do_not_go_together(net, tmp_path):
    (tmp_path / "labels.txt").write_text("0 1\n" * 6)
    with refused(DataError, "rows of 2 labels", "one label"):
        of_net(net(mixed()), NetState(TRAIN))


def test_balance_of_sets(net, tmp_path):
    """A record without a label counts as a negative, as often as it comes."""
    (tmp_path / "labels.txt").write_text("0:1\n1\n1\n2\n2\n-1\n")
    layer = python_layer(
        "MultiLabelDataLayer", [], TOPS, {**MIXED, "per_batch": [3, 3], "multilabel": True, "label_dim": 4}
    )
    counts = of_net(net(layer), NetState(TRAIN))
    assert counts.counts.tolist() == [5, 9, 7, 3]
    assert counts.negatives.tolist() == [9 + 10, 9 + 6, 9 + 8, 9 + 12]


def test_preview_knows_records_and_domains(net):
    fed = fed_by(net(mixed()).layers[0], "TRAIN", [0])
    assert fed.names["data"][:3] == ["0.png", "1.png", "2.png"] and fed.names["data"][3].isdigit()
    assert fed.labels["data"].tolist() == [0, 1, 2, 0] and fed.values["domain"].tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize("record", [7, 14])
def test_preview_of_one_record(net, record):
    layer = mixed(label_dim=1, root_folder=".", per_batch=[3, 2], seed=4)
    fed = fed_by(net(layer).layers[0], "TRAIN", [0], record=record)
    assert fed.images["data"][:, 0, 0, 0].tolist() == 5 * [record if record < 12 else 100 + record - 12]
    assert list(fed.labels) == ["data"] and fed.values == {}


def test_preview_of_a_record_that_is_not_there(net):
    with refused(DataError, "no record 18", remedy="0 to 17"):
        fed_by(net(mixed()).layers[0], "TRAIN", [0], record=18)


def test_preview_doubts_images_of_any_source(net):
    for name in ("wide", "turned"):
        write_lmdb(
            name, (Datum(bytes(range(36)) * 18, 9, *([6, 6, 18] if name == "wide" else [6, 36, 3])) for _ in range(6))
        )
    layer = mixed(
        ["data", "domain"], sources=[{**SOURCES[1], "source": name} for name in ("wide", "turned")], color="any"
    )
    fed = fed_by(net(layer).layers[0], "TRAIN", [0])
    assert any(
        "look like height x width x channels" in each for each in findings(fed, channels(list(fed.images.values())), [])
    )


def test_what_it_reads_is_not_written_over(net, tmp_path):
    read = set(files_read(net(mixed()).layers))
    assert {*(str(tmp_path / name) for name in ("list.csv", "11.png", "lmdb", "lmdb/data.mdb")), "labels.txt"} <= read


@pytest.mark.parametrize("more", [{}, {"compressed": False}], ids=str)
def test_bench_times_it(net, more):
    with closing(run_net(net(mixed(**more)), NetState(), None)[0]) as run:
        assert run.layer.num_records == 18 and run.layer.batches_per_epoch == 6
        assert (stages(run.layer.recipe, 0.1).decoded_bytes is None) == bool(more)


def test_export_knows_the_channels_of_files_only(net):
    assert fed_shapes(net(mixed(sources=SOURCES[:1], per_batch=[4])).layers[0]) == [(3, 6, 6)]
    assert fed_shapes(net(mixed()).layers[0]) == [(None, 6, 6)]


def test_netspec_has_its_top(net):
    spec = NetSpec()
    spec.data, spec.label, spec.domain = netspec.ImageDataLayer(**MIXED, ntop=3)
    made = net(str(spec.to_proto()))
    assert made.layers[0].tops == ["data", "label", "domain"]
    assert fed_by(made.layers[0], "TRAIN", [0]).values["domain"].tolist() == [0, 0, 0, 1]
