import pytest

from caffe_pylayers.commands.convert.convert import Origin
from caffe_pylayers.data.sources import Record
from caffe_pylayers.data.sources.csv import write_csv


@pytest.fixture(scope="session")
def several(photos, tmp_path_factory):
    """Encoded images with names, weights, and one to three labels each."""
    folder = tmp_path_factory.mktemp("several")
    labels = [tuple(range(number % 3, 2 * (number % 3) + 1)) for number in range(37)]
    records = [
        Record(photos.bytes_of(number), labels[number], number / 4, f"class {number % 5}/{name}")
        for number, name in enumerate(photos.names)
    ]
    write_csv(f"{folder}/list.csv", records, f"{folder}/images")
    return Origin("CSV", f"{folder}/list.csv", root=f"{folder}/images", header=True)
