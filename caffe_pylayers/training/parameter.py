"""A solver file, checked for what Caffe would abort on, and made into a solver as the `caffe` program does."""

import math
import os
import resource
import shutil
import tempfile
from typing import Any, Dict, List, Optional

from caffe_pylayers import regular_file
from caffe_pylayers.caffe_files import nets
from caffe_pylayers.caffe_files.snapshots import Shape
from caffe_pylayers.errors import ConfigError
from caffe_pylayers.processes.gpu import no_gpu, use_gpu
from caffe_pylayers.processes.probe import NEEDS_A_GPU
from caffe_pylayers.processes.stock import import_caffe
from caffe_pylayers.training.learning_rate import learning_rate


def read_parameter(path: str) -> Any:
    """The SolverParameter of a file, with its snapshot_prefix as Caffe completes it.

    Raises ConfigError where Caffe would abort on it, or could not go on from its snapshots.
    """
    nets.read_solver(path)
    import_caffe()
    from caffe.proto import caffe_pb2
    from google.protobuf import text_format

    parameter = caffe_pb2.SolverParameter()
    with regular_file.open_text(path, errors="surrogateescape") as file:
        try:
            text_format.Parse(file.read(), parameter)
        except text_format.ParseError as error:
            raise ConfigError(f"{path}:{error}") from error
    if not parameter.snapshot_prefix:
        parameter.snapshot_prefix = os.path.splitext(path)[0]
    elif os.path.isdir(parameter.snapshot_prefix):
        stem = os.path.splitext(os.path.basename(path))[0]
        parameter.snapshot_prefix = os.path.join(parameter.snapshot_prefix, stem)
    _check_snapshots(path, parameter)
    if parameter.max_iter < 1:
        raise ConfigError(
            f"max_iter is {parameter.max_iter}", remedy="give the number of iterations to train", source=path
        )
    learning_rate(parameter, 0)
    return parameter


def _check_snapshots(path: str, parameter: Any) -> None:
    folder = os.path.dirname(parameter.snapshot_prefix) or "."
    if not os.path.isdir(folder):
        raise ConfigError(
            f"snapshot_prefix {parameter.snapshot_prefix!r}: there is no folder {os.path.abspath(folder)}",
            remedy="make it",
            source=path,
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigError(
            f"snapshot_prefix {parameter.snapshot_prefix!r}: cannot write to {os.path.abspath(folder)}", source=path
        )
    if parameter.snapshot_format == parameter.HDF5:
        raise ConfigError(
            "snapshot_format HDF5: many builds of Caffe restore the iteration from such a state, but silently not the weights",
            remedy="use BINARYPROTO, the default",
            source=path,
        )


def clear_weights(parameter: Any) -> None:
    """Take away the `weights` of a solver, which a state or others take the place of. Caffes of 2017 have no such field."""
    if "weights" in parameter.DESCRIPTOR.fields_by_name:
        parameter.ClearField("weights")


def check_room(parameter: Any, shapes: Dict[str, List[Shape]]) -> None:
    """Whether there is room for a snapshot: weights, and as much or twice as much of history. ConfigError where there is none."""
    needed = 3 * 4 * sum(math.prod(shape) for blobs in shapes.values() for shape in blobs)
    folder = os.path.dirname(parameter.snapshot_prefix) or "."
    largest, most = 2 * needed // 3, resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    if -1 < most < largest:  # -1: there is none
        raise ConfigError(
            f"a file may have {most / 1e6:.3g} MB, but one of a snapshot has up to {largest / 1e6:.3g} MB, and Caffe aborts",
            remedy="raise the limit: `ulimit -f unlimited`",
        )
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ConfigError(
            f"{os.path.abspath(folder)}: {free / 1e6:.0f} MB are free, but a snapshot takes up to {needed / 1e6:.0f} MB",
            remedy="make room",
        )


def choose_device(parameter: Any, gpu: Optional[int], own: Optional[int] = None) -> None:
    """CPU or GPU as the `caffe` program chooses: by what was asked for, else by a solver_mode that is written down.

    own: the GPU of this process, where several train together; in place of the solver's device_id.
    """
    if gpu is None and parameter.HasField("solver_mode") and parameter.solver_mode == parameter.GPU:
        gpu = parameter.device_id if own is None else own
    if gpu is None:
        import_caffe().set_mode_cpu()
        return
    if gpu < 0:
        raise ConfigError(f"GPU {gpu}: devices are numbered from 0")
    use_gpu(gpu)


def check_data_layers(path: str) -> None:
    """Raises ConfigError for data layers of Caffe's own that abort when they start, in CPU mode too."""
    why = no_gpu()
    if not why:
        return
    solver = nets.read_solver(path)
    for net, state in (solver.train, *solver.tests):
        for layer in net.in_state(state):
            if layer.type in ("Data", "ImageData", "WindowData"):
                raise ConfigError(
                    f"{layer.described}: {NEEDS_A_GPU}, and CUDA says: {why}",
                    remedy="take a Caffe that is built without GPU support, or ImageDataLayer",
                )


def make_solver(parameter: Any) -> Any:
    """The solver. Paths in it are relative to the working directory, wherever its file lies."""
    from google.protobuf import text_format

    with tempfile.NamedTemporaryFile("w", suffix=".prototxt", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text_format.MessageToString(parameter))
        file.flush()
        return import_caffe().get_solver(file.name)
