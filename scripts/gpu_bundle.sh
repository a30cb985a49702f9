#!/usr/bin/env bash
# Pack a Caffe for GPUs, Python and CuPy, to be carried to a machine that has nothing but a GPU, its driver and CUDA's libraries:
#
#   scripts/gpu_bundle.sh [FOLDER]                       into build/gpu, by default for compute capability 9.0
#   CAFFE_CUDA_ARCH=8.6 scripts/gpu_bundle.sh FOLDER     for another GPU
#
# It needs `make setup`, and no GPU. FOLDER gets bundle.tar.xz, cv2.tar.xz (for data layers) and all that
# scripts/run_on_gpu.sh runs. docs/gpu.md says how it is used.
set -euo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
title=bundle

# lean_caffe: sets prefix, a Caffe for GPUs without OpenCV and LevelDB, whose libraries would be larger than all the rest.
lean_caffe() {
    portable=1 gpu=1
    read_interpreter "$venv/bin/python"
    caffe_root=""
    build_path=$PATH
    find_cuda
    architectures=$(gpu_architectures)
    prefix=$(build_folder)
    cached_caffe
}

# pack name path ...: of the stage, into the folder.
pack() {
    local name=$1
    shift
    tar -C "$stage" -cf - --owner 0 --group 0 --exclude=__pycache__ "$@" | xz -T0 -6 >"$folder/$name.tar.xz.new"
    mv "$folder/$name.tar.xz.new" "$folder/$name.tar.xz"
}

bundle() {
    local needed=(site/cv2 site/opencv_python_headless.libs site/h5py site/h5py.libs) name without=()
    export LC_ALL=C.UTF-8 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_USER=0
    [ -e "$venv/setup.done" ] || fail "there is no .venv." "Run 'make setup' first."
    folder=${1:-$root/build/gpu}
    mkdir -p "$folder"
    find_cache
    start_log
    trap clean_up EXIT
    cuda_arch=${CAFFE_CUDA_ARCH:-9.0}
    lean_caffe
    [[ $architectures != *" "* ]] || fail "the bundle is for one kind of GPU, not for $architectures." "CAFFE_CUDA_ARCH=9.0 scripts/gpu_bundle.sh"
    need_space "$cache" 1500 "the bundle before it is packed"
    work=$(mktemp -d "$cache/work.XXXXXX") staged=$work stage=$work/stage
    say "gathering Python, its packages and Caffe (3 minutes)"
    logged "$venv/bin/python" "$root/scripts/cuda/portable.py" "$stage" "$prefix" "$cuda" "$architectures" ||
        fail_with_log 12 "the bundle could not be gathered."
    say "packing"
    for name in "${needed[@]}"; do without+=("--exclude=$name"); done
    pack bundle "${without[@]}" python site lib caffe cuda bin
    pack cv2 "${needed[@]}"
    cp "$root/scripts/run_on_gpu.sh" "$folder/"
    say "done in $SECONDS s: $(du -h "$folder"/*.xz | tr '\n\t' '  ')"
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then bundle "$@"; fi
