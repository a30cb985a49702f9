"""Write an HDF5 file again, so that its rows can be read where they lie: neither compressed, nor linked, nor in pieces.

python -m caffe_pylayers.data.sources.hdf5_rewrite old.h5 new.h5
"""

import argparse
from typing import Any

from caffe_pylayers.data.sources.hdf5 import Disk, write_rows
from caffe_pylayers.data.sources.hdf5_layout import data_sets, in_groups, require_parts
from caffe_pylayers.errors import DataError
from caffe_pylayers.files.output_file import output_file, require_absent

_BYTES_AT_ONCE = 64 << 20
_ROWS_AT_ONCE = 1000  # of any length


def rewrite(old: str, new: str) -> None:
    """Write the data sets of a file into a new one. Raises DataError where there is one of that name, or data are missing."""
    import h5py

    require_absent(new)
    with h5py.File(old, "r") as source, output_file(new) as partial, Disk(partial) as disk:
        with h5py.File(disk, "w") as target:
            for name in (*data_sets(source), *in_groups(source)):
                data = source[name]
                if data.shape is None or h5py.check_ref_dtype(data.dtype):
                    continue  # nothing, or references into the old file, as MATLAB's cells are
                require_parts(name, data)
                _copy(data, target.create_dataset(name, data.shape, data.dtype, track_times=False))
                disk.check()
        disk.check()


def _copy(data: Any, copy: Any) -> None:
    if not data.ndim:
        copy[()] = data[()]
        return
    row = data.size // max(1, len(data)) * data.dtype.itemsize
    rows = _ROWS_AT_ONCE if data.dtype.hasobject else max(1, _BYTES_AT_ONCE // max(1, row))
    if data.chunks:  # whole ones, or each would be unpacked several times
        rows = max(data.chunks[0], rows // data.chunks[0] * data.chunks[0])
    for start in range(0, len(data), rows):
        write_rows(copy, start, data[start : start + rows])


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m caffe_pylayers.data.sources.hdf5_rewrite", description=__doc__.split("\n")[0]
    )
    parser.add_argument("old", help="the HDF5 file")
    parser.add_argument("new", help="the file to write")
    arguments = parser.parse_args()
    try:
        rewrite(arguments.old, arguments.new)
    except (DataError, OSError) as error:
        raise SystemExit(f"{arguments.old}: {error}") from error
    print(arguments.new)


if __name__ == "__main__":
    main()
