# shellcheck shell=bash
# CUDA for a Caffe that runs on GPUs (CAFFE_GPU=1): the toolkit of this machine, or NVIDIA's compiler as packages of Python in
# the cache. Neither needs a GPU.

# The version in scripts/cuda/wheels.txt.
CUDA_OF_WHEELS=13.0
# Without a GPU to ask: the oldest that the compiler knows, as machine code, and as code that drivers compile for later ones.
declare -A OLDEST_GPU=([11]=52 [12]=52 [13]=75)

# nvcc_version nvcc: as 12.4; nothing where it does not run.
nvcc_version() {
    { "$1" --version 2>/dev/null || true; } | sed -n 's/.*release \([0-9]*\.[0-9]*\).*/\1/p'
}

# toolkit_of nvcc: its folder, by what it says: on PATH there may be a link to it, or a script that starts it.
toolkit_of() {
    (cd "$("$1" --dryrun -E -x cu /dev/null 2>&1 | sed -n 's/^#\$ TOP=//p')" 2>/dev/null && pwd -P)
}

# has_libraries folder: whether a toolkit has all that Caffe is linked with, headers too.
has_libraries() {
    local name
    for name in cublas_v2.h curand.h; do
        compgen -G "$1/include/$name" >/dev/null || compgen -G "$1/targets/*/include/$name" >/dev/null || return 1
    done
    for name in libcublas.so libcurand.so libcudart.so; do
        compgen -G "$1/lib*/$name" >/dev/null || compgen -G "$1/lib/*/$name" >/dev/null || return 1
    done
}

# find_cuda: sets cuda, the folder with bin/nvcc, and cuda_version; both of what will be fetched where this machine has none.
find_cuda() {
    local nvcc refused=":"
    if [ -n "${CUDA_HOME:-}" ] && [ -z "$(nvcc_version "$CUDA_HOME/bin/nvcc")" ]; then
        fail "CUDA_HOME=$CUDA_HOME has no bin/nvcc that runs." \
            "Name the folder of a CUDA toolkit, or none, to use that of this machine or NVIDIA's packages: CUDA_HOME= make setup"
    fi
    for nvcc in ${CUDA_HOME:+"$CUDA_HOME/bin/nvcc"} ${CUDA_PATH:+"$CUDA_PATH/bin/nvcc"} "$(command -v nvcc || true)" /usr/local/cuda/bin/nvcc; do
        cuda_version=$(nvcc_version "$nvcc")
        [ -n "$cuda_version" ] || continue
        cuda=$(toolkit_of "$nvcc" || true)
        [[ $refused != *":$cuda:"* ]] || continue # by another of its names
        refused+=$cuda:
        case ${cuda_version%.*} in
            11 | 12 | 13) if has_libraries "$cuda"; then return; fi ;;
            *)
                say "not used: $nvcc is of CUDA $cuda_version, and Caffe is compiled with 11, 12 or 13"
                continue
                ;;
        esac
        say "not used: the CUDA $cuda_version in $cuda lacks cuBLAS or cuRAND, or their headers"
    done
    [ "$(uname -m)" = x86_64 ] || fail "there is no CUDA toolkit, and NVIDIA's packages are pinned for x86_64 only." \
        "Install the toolkit, then: CUDA_HOME=/its/folder CAFFE_GPU=1 make setup"
    case $cache in *[[:space:]]*)
        fail "CUDA's compiler cannot lie in a folder with white space in its name: $cache" "Name another folder: XDG_CACHE_HOME=/big CAFFE_GPU=1 make setup" ;;
    esac
    cuda=$cache/cuda-$CUDA_OF_WHEELS cuda_version=$CUDA_OF_WHEELS
}

# fetch_cuda: NVIDIA's packages, where they are what find_cuda has found, and are not there yet.
fetch_cuda() {
    local made=$work/cuda file
    if [ "$cuda" != "$cache/cuda-$CUDA_OF_WHEELS" ] || [ -e "$cuda" ]; then return; fi
    need_space "$cache" 1800 "NVIDIA's compiler" "name another folder by XDG_CACHE_HOME"
    say "fetching NVIDIA's compiler for CUDA $CUDA_OF_WHEELS: 585 MB, unpacked 1 GB"
    logged "$venv/bin/python" -m pip install --no-deps --no-compile --require-hashes --target "$made" -r "$root/scripts/cuda/wheels.txt" ||
        fail_with_log 8 "pip could not fetch NVIDIA's compiler." "$pip_hint"
    made=$made/nvidia/cu13
    # What CMake and the linker look for in a toolkit.
    ln -s lib "$made/lib64"
    for file in "$made"/lib/*.so.*; do ln -sf "$(basename "$file")" "${file%.so.*}.so"; done
    chmod +x "$made"/bin/* "$made"/nvvm/bin/*
    [ "$(nvcc_version "$made/bin/nvcc")" = "$CUDA_OF_WHEELS" ] || fail "the compiler in NVIDIA's packages does not run on this machine."
    mv "$made" "$cuda"
}

# gpu_architectures: writes those to compile for, as '80 90': what CAFFE_CUDA_ARCH says, else those of the GPUs here, else the oldest.
gpu_architectures() {
    local found
    found=$(tr -d . <<<"${cuda_arch//[,;]/ }")
    [ -n "$found" ] || found=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | grep -x '[0-9.]*' | tr -d . | sort -nu || true)
    # shellcheck disable=SC2116,SC2086  # several lines become one
    found=$(echo ${found:-${OLDEST_GPU[${cuda_version%.*}]}})
    [[ $found =~ ^[0-9]{2,3}(\ [0-9]{2,3})*$ ]] || fail "CAFFE_CUDA_ARCH='$cuda_arch' is not a list of compute capabilities." \
        "Give numbers as NVIDIA has them, for example: CAFFE_CUDA_ARCH='8.0 9.0' CAFFE_GPU=1 make setup"
    printf '%s' "$found"
}

# has_nccl: whether NVIDIA's library for several GPUs is there to be linked with.
has_nccl() {
    local folder
    for folder in "$cuda" /usr; do
        if [ -e "$folder/include/nccl.h" ] && compgen -G "$folder/lib*/libnccl.so" "$folder/lib/*/libnccl.so" >/dev/null; then return; fi
    done
    return 1
}

# gpu_options: writes those for CMake, one per line.
gpu_options() {
    printf '%s\n' -DCPU_ONLY=OFF -DUSE_CUDNN=OFF "-DUSE_NCCL=$(has_nccl && echo ON || echo OFF)" "-DCUDA_TOOLKIT_ROOT_DIR=$cuda" \
        -DCUDA_ARCH_NAME=Manual "-DCUDA_ARCH_BIN=$architectures" "-DCUDA_ARCH_PTX=${architectures##* }" -DCUDA_USE_STATIC_CUDA_RUNTIME=OFF
}

# patch_for_cuda source: CUDA 13 has taken three fields from its description of a GPU, which Caffe prints.
patch_for_cuda() {
    if [ "${cuda_version%.*}" -lt 13 ]; then return; fi
    logged patch -d "$1" -p1 -i "$root/scripts/cuda/cuda13.patch" ||
        fail_with_log 8 "Caffe's source could not be changed for CUDA $cuda_version."
}

# gpu_extra: the extra of this package with the CuPy for that CUDA.
gpu_extra() {
    case ${cuda_version%.*} in 12) echo gpu ;; *) echo "gpu${cuda_version%.*}" ;; esac
}
