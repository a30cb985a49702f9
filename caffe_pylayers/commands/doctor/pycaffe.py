"""`import caffe`, and what that Caffe can do."""

import contextlib
import json
import os
import re
import shutil
from importlib import metadata
from typing import Any, Dict, Iterator, List, Optional, Tuple

from caffe_pylayers.commands.doctor import lacking
from caffe_pylayers.commands.doctor.extension import compiled, numpy_of, within
from caffe_pylayers.commands.doctor.finding import ERROR, NOTE, OK, WARNING, Finding
from caffe_pylayers.commands.doctor.import_errors import NUMPY_1, SEE_NUMPY, explain, pip
from caffe_pylayers.processes.probe import ask, ask_python

_ABOUT = """
import json, os, sys
os.environ["GLOG_minloglevel"] = "2"
import caffe
net = getattr(caffe, "Net", None)
about = {"file": getattr(caffe, "__file__", None), "folders": list(getattr(caffe, "__path__", [])), "caffe": net is not None}
if net is not None:
    about.update(
        version=str(getattr(caffe, "__version__", "before 1.0")), layers=list(caffe.layer_type_list()),
        nccl=hasattr(getattr(caffe, "NCCL", None), "bcast"),
    )
print(json.dumps(about), file=answers, flush=True)
"""

#: By the NumPy that the installed Caffe is compiled against.
_RUNS_WITH: Dict[Optional[int], str] = {
    1: "; compiled against NumPy 1, and it does not run with NumPy 2",
    2: "; compiled against NumPy 2, and it runs with NumPy 1 too",
}

_MISSING = "is not found: its folder `python` is not on Python's path"


def import_caffe() -> Iterator[Finding]:
    """Whether `import caffe` gives Caffe, and why not; then what it can do."""
    answer = ask_python(_ABOUT)
    if answer.ok:
        about = json.loads(answer.out.strip().splitlines()[-1])
        if not about["caffe"]:
            yield _another(about)
            return
        numpy = _RUNS_WITH.get(numpy_of(compiled()), "")
        yield Finding("import caffe", OK, f"{about['version']}, {os.path.dirname(about['file'])}{numpy}")
        yield from _abilities(about)
    elif "No module named 'caffe'" in answer.err and "No module named 'caffe'" in answer.failure:
        folder = _where_it_may_be()
        yield Finding("import caffe", ERROR, _MISSING, _on_path(folder))
        if folder is not None:
            yield from _numpy_for(folder)
    else:
        found, remedy, see = explain_import(answer.err, answer.failure)
        file = compiled()
        absent = _absent_libraries(file)
        if len(absent) > 1:  # an import names the first only
            found += f"; these are not found: {', '.join(absent)}"
        yield Finding("import caffe", ERROR, f"{file or 'pycaffe'}: {found}", remedy, see)


def explain_import(text: str, last_line: str) -> Tuple[str, str, str]:
    """What `explain` says of an import of pycaffe that fails; and all modules that are missing, if it may stop at one."""
    found, remedy, see = explain(f"{text}\n{last_line}", last_line)
    file = compiled()
    missing = lacking.lacking(os.path.dirname(file)) if file else []
    if not missing:
        return found, remedy, see
    several = f"modules {', '.join(missing)}, which are" if len(missing) > 1 else f"module {missing[0]}, which is"
    needs, packages = f"it needs the {several} not installed", lacking.packages(missing)
    if remedy == NUMPY_1:  # the import ends before the first of them
        return f"{found}; {needs}", f"{remedy} {packages}", see
    if any(re.search(rf"No module named '?{name.partition('.')[0]}\b", text) for name in missing):
        return needs, pip(f"install {packages}"), see
    return found, remedy, see


def _absent_libraries(file: Optional[str]) -> List[str]:
    """The shared libraries that a file is linked with and that are not there."""
    if file is None or shutil.which("ldd") is None:
        return []
    return [line.split()[0] for line in ask(["ldd", file]).out.splitlines() if "not found" in line and "=>" in line]


def _another(about: Dict[str, Any]) -> Finding:
    """A module named caffe that is not Caffe: mostly a folder of the source tree, or of one's own."""
    place = os.path.dirname(about["file"]) if about["file"] else about["folders"][0]
    found = f"{place} is not pycaffe: it has no `Net`"
    pycaffe = os.path.join(place, "python")
    if os.path.isdir(os.path.join(pycaffe, "caffe")):
        return Finding(
            "import caffe", ERROR, f"{found}; it is Caffe's source folder", f"export PYTHONPATH={pycaffe}:$PYTHONPATH"
        )
    if os.path.realpath(os.path.dirname(place)) == os.path.realpath(os.getcwd()):
        return Finding("import caffe", ERROR, f"{found}, and hides Caffe", "rename that folder, or work in another one")
    return Finding(
        "import caffe", ERROR, f"{found}, and hides Caffe", f"remove {place}: it is another package with that name"
    )


def _where_it_may_be() -> Optional[str]:
    """The folder `python` of a Caffe that is not on the path."""
    program = shutil.which("caffe")
    roots = [os.environ.get("CAFFE_ROOT", "")]
    if program:
        folder = os.path.dirname(os.path.realpath(program))
        roots += [os.path.dirname(folder), os.path.dirname(os.path.dirname(folder))]
    roots += [os.path.expanduser("~/caffe"), "/opt/caffe", "/usr/local/caffe", "/usr/local", os.getcwd()]
    folders = (os.path.join(root, "python") for root in filter(None, roots))
    return next((folder for folder in folders if within([os.path.join(folder, "caffe")])), None)


def _on_path(folder: Optional[str]) -> str:
    """The remedy for a Caffe that is not on the path."""
    if folder is not None:
        return f"export PYTHONPATH={folder}:$PYTHONPATH"
    return (
        "export PYTHONPATH=/path/to/caffe/python:$PYTHONPATH. In a checkout, `CAFFE_ROOT=/path/to/caffe make setup` does it for "
        "good; if there is no Caffe, `make setup` builds one"
    )


def _numpy_for(folder: str) -> Iterator[Finding]:
    """Whether a Caffe that is not on the path yet runs with the NumPy that is installed."""
    with contextlib.suppress(metadata.PackageNotFoundError):
        installed = metadata.version("numpy")
        if numpy_of(within([os.path.join(folder, "caffe")])) == 1 and not installed.startswith("1."):
            found = f"{installed}, but the Caffe in {folder} is compiled against NumPy 1"
            yield Finding("NumPy", ERROR, found, NUMPY_1, SEE_NUMPY)


def _abilities(about: Dict[str, Any]) -> Iterator[Finding]:
    layers = about["layers"]
    if "Python" not in layers:
        found, remedy, see = explain("Unknown layer type: Python", "")
        yield Finding("Python layer", ERROR, found, remedy, see)
        return
    yield from _tried(about)
    missing = [name for name in ("Data", "ImageData", "HDF5Data", "InfogainLoss", "BatchNorm") if name not in layers]
    if missing:
        yield Finding("layers", NOTE, f"{len(layers)} types, without {', '.join(missing)}")
    yield from _blas()
    yield from _gpu(about)


#: What is tried, one after the other; each writes its name and a finding's level, text and remedy.
_TRIALS = r'''
import os, sys, json, tempfile, time
os.environ["GLOG_minloglevel"] = "2"
import numpy as np
import caffe

def net(text):
    with tempfile.NamedTemporaryFile("w", suffix=".prototxt") as file:
        file.write(text)
        file.flush()
        return caffe.Net(file.name, caffe.TRAIN)

def python_layer():
    built = net("""
    layer { name: "data"  type: "DummyData"  top: "x"  dummy_data_param { shape { dim: 2  dim: 3 }
      data_filler { type: "constant"  value: 2 } } }
    layer { name: "unit"  type: "Python"  bottom: "x"  top: "y"
      python_param { module: "caffe_pylayers"  layer: "L2Normalize" } }""")
    built.forward()
    assert abs(np.square(built.blobs["y"].data).sum() - 2) < 1e-5, built.blobs["y"].data
    return "ok", "built in, and the layers of this package run in it", ""

def workers():
    import cv2
    import caffe_pylayers
    with tempfile.TemporaryDirectory() as folder:
        with open(folder + "/list.csv", "w") as file:
            for number in range(4):
                cv2.imwrite("%s/%d.png" % (folder, number), np.full((8, 8, 3), number, np.uint8))
                file.write("%s/%d.png, %d\n" % (folder, number, number))
        built = net("""layer { name: "train_data"  type: "Python"  top: "data"  top: "label"  python_param {
          module: "caffe_pylayers"  layer: "ImageDataLayer"
          param_str: "{'source': '%s/list.csv', 'batch_size': 4, 'prefetch': True, 'timeout': 30}" } }""" % folder)
        start = time.perf_counter()
        built.forward()
        assert built.blobs["data"].data[3].max() == 3
        caffe_pylayers.close()
    return "ok", "a worker process feeds a net; its first batch came after %.1f s" % (time.perf_counter() - start), ""

def infogain():
    built = net("""
    layer { name: "data"  type: "DummyData"  top: "x"  top: "label"  top: "H"  dummy_data_param {
      shape { dim: 1  dim: 2 }  shape { dim: 1 }  shape { dim: 1  dim: 1  dim: 2  dim: 2 }
      data_filler { type: "constant"  value: 3 }  data_filler { type: "constant" }
      data_filler { type: "constant"  value: 1 } } }
    layer { name: "loss"  type: "InfogainLoss"  bottom: "x"  bottom: "label"  bottom: "H"  top: "loss" }""")
    loss = float(built.forward()["loss"])
    if abs(loss - 2 * np.log(2)) < 1e-4:
        return "ok", "has its softmax inside: feed it scores, like SoftmaxWithLoss", ""
    return "note", "takes probabilities here (a Caffe before April 2017)", "put a Softmax layer in front of it"

def hdf5():
    with tempfile.TemporaryDirectory() as folder:
        with open(folder + "/net.prototxt", "w") as file:
            file.write("""
            layer { name: "data"  type: "DummyData"  top: "x"  top: "y"  dummy_data_param { shape { dim: 1  dim: 2 }
              data_filler { type: "constant"  value: 1 } } }
            layer { name: "ip"  type: "InnerProduct"  bottom: "x"  top: "ip"  inner_product_param { num_output: 2
              weight_filler { type: "gaussian"  std: 1 } } }
            layer { name: "loss"  type: "EuclideanLoss"  bottom: "ip"  bottom: "y"  top: "loss" }""")
        with open(folder + "/solver.prototxt", "w") as file:
            file.write("""net: "%s/net.prototxt"  base_lr: 0.01  lr_policy: "fixed"  max_iter: 9  snapshot: 100
            snapshot_format: HDF5  snapshot_prefix: "%s/s"  solver_mode: CPU""" % (folder, folder))
        first = caffe.SGDSolver(folder + "/solver.prototxt")
        first.step(1)
        first.snapshot()
        second = caffe.SGDSolver(folder + "/solver.prototxt")
        second.restore(folder + "/s_iter_1.solverstate.h5")
        if np.array_equal(first.net.params["ip"][0].data, second.net.params["ip"][0].data):
            return "ok", "snapshot_format: HDF5 restores weights", ""
    return ("note", "after `snapshot_format: HDF5` a restored run silently has the weights of a new net",
            "leave snapshot_format out (BINARYPROTO)")

for trial in (python_layer, workers, infogain, hdf5):
    print("trial", trial.__name__, file=answers, flush=True)
    try:
        print(json.dumps(trial()), file=answers, flush=True)
    except Exception as error:
        print(json.dumps(["error", type(error).__name__ + ": " + str(error), ""]), file=answers, flush=True)
'''
_SUBJECTS = {"python_layer": "Python layer", "workers": "prefetch", "infogain": "InfogainLoss", "hdf5": "snapshots"}
_SEE = {
    "python_layer": 'The loss is printed, but nothing is learned; "its loss_weight is 0"',
    "hdf5": "After `--snapshot` the weights are those of a new net",
}


def _tried(about: Dict[str, Any]) -> Iterator[Finding]:
    """Small nets that run; where one of them takes the process down, it is said of that one, and the rest is not tried."""
    answer = ask_python(_TRIALS, timeout=120)
    for told in answer.out.split("trial ")[1:]:
        name, _, result = told.partition("\n")
        if result.strip():
            level, found, remedy = json.loads(result.strip().splitlines()[-1])
        else:
            level, found, remedy = ERROR, f"a small net with it fails: {answer.failure}", ""
        yield Finding(_SUBJECTS[name], level, found, remedy, _SEE.get(name, "") if level == NOTE else "")
    if not answer.out:
        yield Finding("Python layer", ERROR, f"no net can be made: {answer.failure}")


_BLAS = """
import json, os
os.environ["GLOG_minloglevel"] = "2"
import caffe
from caffe_pylayers.processes.blas import slow_openblas
slow = slow_openblas()
print(json.dumps(slow and [slow.found, slow.remedy]), file=answers, flush=True)
"""


def _blas() -> Iterator[Finding]:
    """Whether the BLAS that multiplies Caffe's matrices knows this processor."""
    answer = ask_python(_BLAS)
    slow = json.loads(answer.out) if answer.ok else None
    if slow is not None:
        found, remedy = slow
        yield Finding("BLAS", WARNING, found, remedy, '"OpenBLAS ... does not know this processor"')


def _gpu(about: Dict[str, Any]) -> Iterator[Finding]:
    """Which kind of build it is, and whether a GPU build has a GPU to run on."""
    answer = ask_python(
        'import os; os.environ["GLOG_minloglevel"] = "2"; import caffe; caffe.set_device(0); caffe.set_mode_gpu()'
    )
    several = "several GPUs (NCCL)" if about["nccl"] else "one GPU: built without NCCL"
    if answer.ok:
        yield Finding("build", OK, f"GPU, for {several}")
    elif "CPU-only" in answer.err:
        yield Finding("build", OK, "CPU only: a solver needs `solver_mode: CPU`")
    else:
        found = f"GPU, for {several}; but the first GPU cannot be used: {answer.failure}"
        remedy = "`solver_mode: CPU`; or see that `nvidia-smi` works, and that its driver fits the CUDA of this Caffe"
        yield Finding("build", WARNING, found, remedy)
