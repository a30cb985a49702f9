#!/usr/bin/env bash
# Run everything that needs a GPU, from the root of a checkout:
#
#   bash build/gpu/run_on_gpu.sh [look | test | losses | train | feed ...]     with the bundle beside this script; all without a name
#   bash scripts/run_on_gpu.sh ...                                            with .venv, which `CAFFE_GPU=1 make setup` has made
#
# BUNDLE=dir: where the bundle is unpacked. OUT=dir: gets what each step prints. JOBS=n: processes of the tests.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repo=$(pwd)
out=${OUT:-$repo/build/gpu/out}
mkdir -p "$out"
SECONDS=0 failed=""

step() { printf '\n=== [%s s] %s\n' "$SECONDS" "$*"; }

# unpack file: a machine need not have xz; any Python reads it.
unpack() {
    command -v xz >/dev/null || command -v python3 >/dev/null || {
        echo "nothing here unpacks $1: it needs xz (apt-get install xz-utils) or any python3" >&2
        return 1
    }
    tar -xJf "$1" -C "$bundle" 2>/dev/null ||
        python3 -c 'import sys, tarfile; tarfile.open(sys.argv[1]).extractall(sys.argv[2])' "$1" "$bundle"
}

# cuda_folders: writes those with CUDA's libraries on this machine: wheels of its Python, or a toolkit.
cuda_folders() {
    local folder found=()
    for folder in "$(python3 -c 'import sysconfig; print(sysconfig.get_path("purelib"))' 2>/dev/null)"/nvidia/{cu13,*}/lib \
        "${CUDA_HOME:-/usr/local/cuda}"/{lib64,targets/x86_64-linux/lib}; do
        if compgen -G "$folder/lib*.so.*" >/dev/null && [[ ":${found[*]-}:" != *":$folder:"* ]]; then found+=("$folder"); fi
    done
    # The driver's own folder where the loader does not look; not the system's, which would go before the libraries of the bundle.
    for folder in /usr/local/nvidia/lib64 /usr/local/nvidia/lib; do
        if [ -e "$folder/libcuda.so.1" ]; then found+=("$folder"); fi
    done
    (IFS=: && echo "${found[*]-}")
}

# use_bundle: unpacks it once, and puts its programs and its Python in front.
use_bundle() {
    local name folder folders
    bundle=${BUNDLE:-/tmp/caffe_pylayers_gpu}
    if [ ! -e "$bundle/done" ]; then
        mkdir -p "$bundle"
        unpack "$here/bundle.tar.xz" || exit 1
        if [ -e "$here/cv2.tar.xz" ]; then unpack "$here/cv2.tar.xz" || exit 1; fi
        : >"$bundle/done"
    fi
    folders=$(cuda_folders)
    export LD_LIBRARY_PATH=${folders:+$folders:}$bundle/cuda/lib
    for name in cublas cublasLt curand nvrtc cudart; do
        folder=$(IFS=: && for f in $LD_LIBRARY_PATH; do compgen -G "$f/lib$name.so.[0-9]*" | head -n 1; done | head -n 1)
        echo "$name: ${folder:-in the system's folders, or missing}"
    done
    export CUDA_PATH=$bundle/cuda PATH=$bundle/bin:$PATH PYTHONPATH=$repo PYTHONDONTWRITEBYTECODE=1
    # The OpenBLAS of the bundle may be older than this processor.
    export OPENBLAS_CORETYPE=${OPENBLAS_CORETYPE:-Haswell}
    unset PYTHONHOME
    python=$bundle/bin/python
}

look() {
    nvidia-smi || true
    "$python" - <<'PYTHON'
import caffe
import numpy

from caffe_pylayers.processes.gpu import built_for_gpus, no_gpu, use_gpu

print("Caffe", caffe.__version__, caffe.__file__, "NumPy", numpy.__version__, "built for GPUs:", built_for_gpus())
print("CUDA:", no_gpu() or "a GPU is there")
use_gpu(0)
import cupy

print("CuPy", cupy.__version__, cupy.cuda.runtime.getDeviceProperties(0)["name"])
x = cupy.arange(1000, dtype=cupy.float32)[::-1]
print("sum", float(x.sum()), "sort", float(cupy.sort(x)[1]), "cumsum", float(cupy.cumsum(x)[-1]), "dot", float(x @ x))
PYTHON
}
test_() {
    # Twice: the second finds CuPy's kernels compiled, which tells the time of the tests from that of the compiler.
    local round status=0
    for round in 1 2; do
        "$python" -m pytest -p no:cacheprovider -m gpu tests/gpu --deselect tests/gpu/test_gpu_training.py -q -n "${JOBS:-6}" --durations 8 \
            --junitxml "$out/tests_$round.xml" || status=1
    done
    return $status
}
losses() { "$python" -m tests.bench gpu; }
train() { "$python" -m pytest -p no:cacheprovider -m gpu tests/gpu/test_gpu_training.py -q -rP; }
feed() { "$python" -m tests.bench gpu_feeding; }

export PYTHONUNBUFFERED=1 GLOG_minloglevel=2 OPENBLAS_NUM_THREADS=1
if [ -e "$here/bundle.tar.xz" ]; then
    step unpack
    use_bundle
else
    python=$repo/.venv/bin/python
fi
if [ $# = 0 ]; then set -- look test losses train feed; fi
for what in "$@"; do
    step "$what"
    case $what in test) test_ ;; *) "$what" ;; esac 2>&1 | tee "$out/$what.txt"
    if [ "${PIPESTATUS[0]}" != 0 ]; then failed="$failed $what"; fi
done
step "end; what was printed is in $out${failed:+; failed:$failed}"
[ -z "$failed" ]
