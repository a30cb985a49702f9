"""JPEGs without their end: stock ImageData reads them, and so do our layers with `decode: lenient`, which counts them."""

import ast
import logging

import caffe
import cv2
import numpy as np
import pytest

from caffe_pylayers import close
from caffe_pylayers.caffe_files.datum import Datum
from caffe_pylayers.data.sources import Record
from caffe_pylayers.data.sources.bcf import write_bcf
from caffe_pylayers.data.sources.hdf5 import write_hdf5
from caffe_pylayers.data.sources.lmdb import write_lmdb
from caffe_pylayers.errors import DataError
from tests.caffe_nets import layer_text, python_layer, write
from tests.refusals import refused

CUT = [1, 2, 4]


@pytest.fixture(scope="module")
def cut(tmp_path_factory):
    """A folder of six images and their list: records 1, 2 and 4 have lost a byte, ten bytes, half of the file."""
    folder = tmp_path_factory.mktemp("cut")
    rng = np.random.default_rng(0)
    files = []
    for number, lost in enumerate((0, 1, 10, 0, 0.5, 0)):
        data = cv2.imencode(".jpg", cv2.resize(rng.integers(0, 256, (7, 9, 3), dtype=np.uint8), (64, 48)))[1].tobytes()
        files.append(data[: len(data) - int(lost if lost != 0.5 else len(data) // 2)])
        (folder / f"{number}.jpg").write_bytes(files[-1])
    (folder / "list.txt").write_text("".join(f"{folder}/{number}.jpg {number % 2}\n" for number in range(6)))
    cv2.imwrite(str(folder / "map.png"), np.arange(48 * 64, dtype=np.uint8).reshape(48, 64))
    (folder / "maps.txt").write_text("".join(f"{folder}/{number}.jpg {folder}/map.png\n" for number in range(6)))
    write_lmdb(str(folder / "lmdb"), (Datum(data, number % 2, 3, encoded=True) for number, data in enumerate(files)))
    records = [Record(data, (number % 2,)) for number, data in enumerate(files)]
    write_bcf(str(folder / "images.bcf"), records)
    write_hdf5(str(folder / "images.h5"), records)
    return folder


def net_of(layer, tops, phase=caffe.TEST, **options):
    options = {"batch_size": 6, "decode": "lenient", **options}
    return caffe.Net(
        write(
            python_layer(
                layer, [], tops, options, more="param { lr_mult: 0 decay_mult: 0 }" * options.get("resume", False)
            )
        ),
        phase,
    )


def images_of(net):
    net.forward()
    return net.blobs["data"].data.copy()


def read_by_stock(cut):
    """What stock ImageData reads of the six."""
    param = f'image_data_param {{ source: "{cut}/list.txt"  batch_size: 6 }}'
    return images_of(caffe.Net(write(layer_text("ImageData", [], ["data", "label"], param)), caffe.TEST))


SOURCES = {
    "CSV": {"source": "list.txt"},
    "LMDB": {"source": "lmdb"},
    "BCF": {"source": "images.bcf"},
    "HDF5": {"source": "images.h5"},
}


@pytest.mark.parametrize("source_type", SOURCES)
@pytest.mark.stock_data
def test_every_source_gives_the_bits_of_stock_image_data(cut, source_type, caplog):
    options = {"source_type": source_type, "source": f"{cut}/{SOURCES[source_type]['source']}"}
    with refused(DataError, "cut short", remedy="`decode: lenient`", record=1):
        net_of("ImageDataLayer", ["data"], **options, decode="exact").forward()
    caplog.set_level(logging.WARNING, "caffe_pylayers")
    net, stock = net_of("ImageDataLayer", ["data"], **options), read_by_stock(cut)
    for _ in range(2):
        np.testing.assert_array_equal(images_of(net), stock)
    close()
    first, told = [record.getMessage() for record in caplog.records]
    assert "record 1 (" in first and "cut short" in first
    assert told.endswith("3 of 6 records are cut short, and were read as far as they go")


def test_a_count_that_grows_is_told_at_the_end(cut, caplog):
    """In the first pass the layer has seen one of them; it tells the others when it is closed."""
    net = net_of("ImageDataLayer", ["data"], source=f"{cut}/list.txt", batch_size=2)
    net.forward()
    assert [record.getMessage()[-9:] for record in caplog.records] == ["h records"]
    net.forward()
    close()
    assert "2 of 6 records" in caplog.records[-1].getMessage()
    assert len(caplog.records) == 2


LAYERS = {
    "ImageMapDataLayer": ["data", "label"],
    "MultiLabelDataLayer": ["data", "label"],
    "SiameseDataLayer": ["data", "data_p", "sim"],
    "TripletDataLayer": ["data", "positive", "negative"],
}


@pytest.mark.parametrize("layer, tops", LAYERS.items(), ids=LAYERS)
def test_workers_and_a_restored_run_give_the_same_stream(cut, layer, tops, caplog):
    source = "maps.txt" if layer == "ImageMapDataLayer" else "list.txt"
    options = {"source": f"{cut}/{source}", "seed": 3, "batch_size": 4, "resume": True}
    plain = net_of(layer, tops, caffe.TRAIN, **options)
    ahead = net_of(layer, tops, caffe.TRAIN, **options, prefetch=2, workers=2)
    stream = []
    for _ in range(4):
        plain.forward()
        ahead.forward()
        stream.append([plain.blobs[top].data.copy() for top in tops])
        for top, wanted in zip(tops, stream[-1]):
            np.testing.assert_array_equal(ahead.blobs[top].data, wanted)
    restored = net_of(layer, tops, caffe.TRAIN, **options)
    restored.params[f"{tops[0]}_layer"][0].data[...] = plain.params[f"{tops[0]}_layer"][0].data
    plain.forward()
    restored.forward()
    np.testing.assert_array_equal(restored.blobs["data"].data, plain.blobs["data"].data)
    close()
    counts = [record.getMessage() for record in caplog.records if "of 6 records" in record.getMessage()]
    assert len(counts) >= 2
    assert counts[0] == counts[1]


@pytest.mark.stock_data
def test_it_goes_with_fast_and_with_images_decoded_up_front(cut, caplog):
    fast = net_of("ImageDataLayer", ["data"], source=f"{cut}/list.txt", decode="fast_lenient", resize=12)
    exact = net_of("ImageDataLayer", ["data"], source=f"{cut}/list.txt", resize=12)
    assert np.abs(images_of(fast)[1] - images_of(exact)[1]).mean() < 8
    caplog.clear()
    whole = net_of("ImageDataLayer", ["data"], source=f"{cut}/list.txt", compressed=False)
    assert "3 of 6 records" in caplog.records[-1].getMessage()
    np.testing.assert_array_equal(images_of(whole), read_by_stock(cut))


def test_what_is_no_image_is_an_error_still(cut, tmp_path):
    data = (cut / "0.jpg").read_bytes()
    for content in (data[:100], b"", b"\xff\xd8\xff", (b"\x89PNG" + data)):
        (tmp_path / "bad.jpg").write_bytes(content)
        (tmp_path / "list.txt").write_text(f"{tmp_path}/bad.jpg 0\n")
        with refused(DataError, "not an image", remedy="fix or remove", record=0):
            net_of("ImageDataLayer", ["data"], source=f"{tmp_path}/list.txt")


@pytest.mark.stock_data
def test_convert_keeps_them_and_says_how_many(cut, command):
    stock = read_by_stock(cut)
    status, _, err = command("convert", f"{cut}/list.txt", "lmdb", "--workers", "1")
    assert status == 2 and "--decode lenient" in err
    status, out, _ = command("convert", f"{cut}/list.txt", "lmdb", "--workers", "1", "--decode", "lenient")
    assert status == 0
    assert "note: 3 images are cut short, and were read as far as they go" in out
    options = ast.literal_eval(out.split('param_str: "')[1].split('"')[0])
    assert options["decode"] == "lenient"
    np.testing.assert_array_equal(images_of(net_of("ImageDataLayer", ["data"], **options)), stock)
    status, out, _ = command(
        "convert", f"{cut}/list.txt", "raw", "--target-type", "LMDB", "--encode", "raw", "--decode", "lenient"
    )
    options = ast.literal_eval(out.split('param_str: "')[1].split('"')[0])
    assert "decode" not in options
    np.testing.assert_array_equal(images_of(net_of("ImageDataLayer", ["data"], **options, decode="exact")), stock)
