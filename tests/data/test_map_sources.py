"""Sources of images with maps that are damaged: every record is read, or refused by name."""

import numpy as np
import pytest
from PIL import Image

from caffe_pylayers.caffe_files.datum import Datum
from caffe_pylayers.config.catalogue import SCHEMAS
from caffe_pylayers.data.maps import maps_of
from caffe_pylayers.data.recipe import Recipe
from caffe_pylayers.data.sources import sources_of
from caffe_pylayers.data.sources.lmdb import write_lmdb
from caffe_pylayers.data.transforms import Transforms
from caffe_pylayers.errors import DataError
from tests.data.mutations import mutated_files

NUM_RECORDS, SIZE = 4, (6, 8)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Images 0.png to 3.png, maps with a palette, and the same as LMDBs."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (NUM_RECORDS, *SIZE, 3), np.uint8)
    labels = rng.integers(0, 16, (NUM_RECORDS, *SIZE), np.uint8)
    for record in range(NUM_RECORDS):
        Image.fromarray(images[record]).save(f"{record}.png")
        indexed = Image.frombytes("P", SIZE[::-1], labels[record].tobytes())
        indexed.putpalette(rng.bytes(48))
        indexed.save(f"{record}_map.png", bits=4)
    (tmp_path / "list.txt").write_text("".join(f"{number}.png {number}_map.png\n" for number in range(NUM_RECORDS)))
    for name, suffix in (("images", ""), ("maps", "_map")):
        files = [(tmp_path / f"{record}{suffix}.png").read_bytes() for record in range(NUM_RECORDS)]
        write_lmdb(name, [Datum(data, 0, encoded=True) for data in files])
    return tmp_path


#: name -> the file that is damaged, options, and what is put in where numbers mean nothing.
DAMAGED = {
    "list": ("list.txt", {}, b' ,\t"\r\n\0/.0'),
    "map": ("2_map.png", {}, b""),
    "LMDB of maps": ("maps/data.mdb", {"source_type": "LMDB", "source": "images", "maps": "maps"}, b""),
}


def outcomes(options):
    """'refused', or for each record 'read' or 'no record'. Every error names what was damaged, or what cannot be made of it."""
    try:
        source, *others = sources_of(options)
        maps = maps_of(options, others)
        recipe = Recipe.of(source, Transforms.of(options), tolerant=True, maps=maps)
    except DataError as error:
        assert error.source and error.problem
        yield "refused"
        return
    assert {len(each) for each in others} == {len(source)}
    room = recipe.room(1)
    for record in range(len(source)):
        complaints = recipe.fill(np.array([record]), np.zeros(1, np.uint64), room, tolerant=True)
        if not complaints:
            assert room.maps.shape == (1, 1, *room.images.shape[2:])
        yield "no record" if complaints else "read"


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_sources(name, folder):
    file, given, text = DAMAGED[name]
    options = SCHEMAS["ImageMapDataLayer"](**{"source": "list.txt", "batch_size": 1, "crop_size": 4, **given})
    assert list(outcomes(options)) == ["read"] * NUM_RECORDS
    found = [end for _ in mutated_files(file, (folder / file).read_bytes(), 400, 0, text) for end in outcomes(options)]
    assert {"refused", "read"} <= {*found} if name != "map" else {"read", "no record"} == {*found}
