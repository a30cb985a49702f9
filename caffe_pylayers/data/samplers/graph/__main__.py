"""The command that makes a graph for type HARD: `python -m caffe_pylayers.data.samplers.graph features.npy graph.npz`."""

import argparse
import sys
from typing import NoReturn

import numpy as np

from caffe_pylayers.data.samplers.graph import neighbours, write_graph
from caffe_pylayers.files.npy import load_npy

_EXAMPLE = """
example:
  python -m caffe_pylayers.data.samplers.graph features.npy graph.npz --top 10 --unlike classes.npy
  python -m caffe_pylayers.data.samplers.graph --labels labels.npy graph.npz
then, in the layer: 'type': 'HARD', 'm': 'graph.npz'
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m caffe_pylayers.data.samplers.graph",
        description="Write the nearest neighbours of each record, by cosine of features or by overlap of label sets.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data", help=".npy of features (N, D), a row per record in the order of the source")
    parser.add_argument("graph", help="the .npz to write, a scipy sparse matrix (N, N)")
    parser.add_argument("--top", type=int, default=10, help="neighbours of each record, at least 1 (default: 10)")
    parser.add_argument("--labels", action="store_true", help="data are label sets: integers (N, L), -1 for none")
    parser.add_argument(
        "--unlike",
        metavar="CLASSES",
        help="keep only neighbours of other classes, because records of one class are never negatives: .npy of labels "
        "(N,), or (N, L), where each row is a class",
    )
    arguments = parser.parse_args()
    if arguments.top < 1:
        parser.error(f"--top is {arguments.top}; at least 1 is allowed")
    if not arguments.graph.endswith(".npz"):
        parser.error(f"the graph's file is '{arguments.graph}', but its name must end with .npz")
    data, read_from = _load(arguments.data), arguments.data
    unlike = None
    if arguments.unlike is not None:
        unlike = _load(arguments.unlike)
        read_from += f" with --unlike {arguments.unlike}"
    try:
        graph = neighbours(data, arguments.top, arguments.labels, unlike)
        write_graph(arguments.graph, graph)
    except ImportError as error:
        _fail(f"scipy is needed ({error}): pip install scipy")
    except OSError as error:
        _fail(str(error))
    except ValueError as error:
        _fail(f"{read_from}: {error}")
    print(f"{arguments.graph}: {graph.nnz} edges between {graph.shape[0]} records")


def _load(path: str) -> np.ndarray:
    try:
        return load_npy(path)
    except OSError as error:
        _fail(str(error))
    except ValueError as error:
        _fail(f"{path}: {error}")


def _fail(message: str) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
