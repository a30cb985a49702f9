#!/usr/bin/env bash
# `make setup`: .venv with stock Caffe and this package in it. docs/troubleshooting.md has its messages.
#
#   PYTHON=python3.11 make setup       another interpreter than python3
#   CAFFE_ROOT=/opt/caffe make setup   a Caffe that is there already; none is built
#   XDG_CACHE_HOME=/big make setup     another folder for the built Caffe and for what is downloaded
#   CAFFE_GPU=1 make setup             a Caffe for GPUs, and CuPy; a GPU is not needed for that (docs/gpu.md)
#   CAFFE_CUDA_ARCH=9.0 make setup     the GPUs that it is compiled for; by default those of this machine
#   CUDA_HOME=/opt/cuda make setup     the toolkit that it is compiled with; by default that of this machine
#   JOBS=1 make setup                  fewer compilers at a time
#
# All but the last are remembered in .venv, so that `make test` need not be told again; an empty value
# (CAFFE_ROOT= make setup) forgets one, `make clean` all.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/.venv
title=setup log="" work="" staged=""
gpu=""      # a Caffe without code for GPUs
portable="" # a Caffe to be carried to another machine, which reads no images itself
pip_hint="No network, or is a proxy or mirror missing in pip's configuration? Try: $venv/bin/python -m pip download six"

. "$root/scripts/messages.sh"
. "$root/scripts/debian.sh"
. "$root/scripts/cuda.sh"
. "$root/scripts/stock_caffe.sh"

# remembered name: the variable's value if it is given, empty or not, else that of the last setup.
remembered() {
    if [ -n "${!1+given}" ]; then
        printf '%s' "${!1}"
    elif [ -f "$venv/setup.$1" ]; then
        cat "$venv/setup.$1"
    fi
}

# choose_gpu: sets gpu, which is empty for a Caffe that has no code for GPUs; then also what it is compiled with and for.
choose_gpu() {
    gpu=$(remembered CAFFE_GPU) cuda_arch=$(remembered CAFFE_CUDA_ARCH) CUDA_HOME=$(remembered CUDA_HOME)
    case $gpu in
        "" | 0) gpu="" ;;
        1) ;;
        *) fail "CAFFE_GPU=$gpu is neither 1 nor 0." "A Caffe for GPUs: CAFFE_GPU=1 make setup. Without: CAFFE_GPU=0 make setup" ;;
    esac
    if [ -n "$gpu" ] && [ -n "$caffe_root" ]; then
        fail "CAFFE_GPU=1 builds a Caffe, but CAFFE_ROOT=$caffe_root names one that is there." \
            "To use that one: CAFFE_GPU= CAFFE_ROOT='$caffe_root' make setup" "To build one: CAFFE_ROOT= CAFFE_GPU=1 make setup"
    fi
}

# find_cache: sets cache, and XDG_CACHE_HOME, by which pip finds its own.
find_cache() {
    XDG_CACHE_HOME=$(remembered XDG_CACHE_HOME)
    case $XDG_CACHE_HOME in "" | /*) ;; *) XDG_CACHE_HOME=$PWD/$XDG_CACHE_HOME ;; esac
    export XDG_CACHE_HOME
    cache=${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/caffe_pylayers
}

# read_interpreter command: sets python, its real path, and python_*, what the build must know of it.
read_interpreter() {
    local facts
    facts=$("$1" "$root/scripts/interpreter.py") ||
        fail "the interpreter '$1' does not run." "Name another one: PYTHON=/usr/bin/python3 make setup"
    {
        read -r python
        read -r python_version
        read -r python_prefix
        read -r python_include
        read -r python_library
        read -r python_makes_venv
    } <<<"$facts"
}

# find_interpreter: the one that PYTHON names, else python3, or Debian's where python3 cannot be built with.
find_interpreter() {
    if [ -n "$python_choice" ]; then
        read_interpreter "$python_choice"
    else
        if is_debian && ! command -v python3 >/dev/null; then require_packages "${DEBIANS_PYTHON[@]}" "${packages[@]}"; fi
        read_interpreter python3
        if is_debian && [ -z "$caffe_root" ] && [[ $python != /usr/bin/* ]]; then
            [ -x /usr/bin/python3 ] || require_packages "${DEBIANS_PYTHON[@]}" "${packages[@]}"
            # Debian's Boost.Python, which Caffe needs, is for Debian's version of Python.
            if [ -z "$python_library" ] || [[ $(/usr/bin/python3 -V) != "Python $python_version."* ]]; then
                say "Caffe cannot be built with $python (Python $python_version): using Debian's own"
                read_interpreter /usr/bin/python3
            fi
        fi
    fi
    runs_with "$python_version" ||
        fail "$python is Python $python_version; Python 3.8 or later is needed." \
            "Name another interpreter: PYTHON=/usr/bin/python3 make setup"
}

# runs_with version: whether this package runs with that Python.
runs_with() {
    case $1 in 3.8 | 3.9 | 3.[1-9][0-9]) ;; *) return 1 ;; esac
}

# prepare_system: the system's packages, and build_path, the PATH to build Caffe with.
prepare_system() {
    local program
    build_path=$PATH
    if is_debian; then
        # shellcheck disable=SC2207  # names of packages are words
        if [[ $python == /usr/bin/* ]]; then packages+=($(packages_of_python "$python_version")); fi
        require_packages "${packages[@]}"
        read_interpreter "$python"
        # Only the system's tools: those of conda, say, would be mixed with Debian's libraries.
        build_path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
        if [ -z "$caffe_root" ]; then check_boost; fi
    elif [ -z "$caffe_root" ]; then
        for program in c++ cmake ninja protoc flock sha256sum; do
            command -v "$program" >/dev/null ||
                fail "the program '$program' is missing, and without apt-get nothing can be installed here." \
                    "Building Caffe needs a C++ compiler, CMake, Ninja, flock, sha256sum, and the development files of" \
                    "protobuf, Boost (python, system, thread, filesystem), glog, gflags, HDF5, LMDB, LevelDB, snappy," \
                    "OpenBLAS and OpenCV. Or use an existing Caffe: CAFFE_ROOT=dir make setup"
        done
    fi
}

# check_interpreter: has it all that .venv and Caffe need?
check_interpreter() {
    local debians="or take Debian's: PYTHON=/usr/bin/python3 make setup"
    [ "$python_makes_venv" = yes ] ||
        fail "$python lacks the modules venv and ensurepip." "Install a Python that has them, $debians"
    if [ -n "$caffe_root" ]; then return; fi
    [ -n "$python_library" ] ||
        fail "$python has no shared library libpython$python_version.so, and Caffe must be linked with it." \
            "Install a Python that was configured with --enable-shared" \
            "(pyenv: PYTHON_CONFIGURE_OPTS=--enable-shared pyenv install --force $python_version)," "$debians"
    [ -n "$python_include" ] || fail "$python lacks its C headers (Python.h)." "Install them, $debians"
}

# numpy_requirement: the NumPy for .venv. pycaffe runs with the NumPy that it was compiled with and with later ones, but
# compiled with NumPy 1 it does not run with 2, compiled with 2 it runs with both.
numpy_requirement() {
    if [ -n "$caffe_root" ] && ! grep -q 'numpy\._core' "$caffe_extension"; then
        echo 'numpy<2'
    elif [ "$python_version" = 3.8 ]; then
        echo 'numpy'
    else
        echo 'numpy>=2'
    fi
}

# make_venv: .venv of this interpreter, with what Caffe, this project and its tools import.
make_venv() {
    local interpreter requirements caffes share="" upgrade=--upgrade extras=dev
    caffes=("$(numpy_requirement)" "$(protobuf_requirement)")
    if [ -n "$caffe_root" ] && shares_packages; then share=--system-site-packages upgrade=""; fi
    interpreter=$(printf '%s\n' "$root" "$python" "$python_version" $share)
    if [ -n "$gpu" ]; then extras=dev,$(gpu_extra); fi
    requirements=$(echo "${caffes[*]} $extras" | cat - "$root/setup.cfg" "$root/pyproject.toml" "$root/scripts/requirements.txt" | sha256sum)

    if [ "$(cat "$venv/setup.interpreter" 2>/dev/null)" != "$interpreter" ]; then
        [ ! -e "$venv" ] || [ -e "$venv/setup.interpreter" ] ||
            fail "$venv is there, but 'make setup' did not make it." "Move it away, then run 'make setup' again."
        need_space "$root" 1500 "the environment .venv"
        say "making .venv with $python (Python $python_version)"
        # By renames, so that a .venv without the file setup.interpreter is never ours.
        rm -rf "$venv.old" "$venv.new"
        if [ -e "$venv" ]; then mv "$venv" "$venv.old"; fi
        mkdir "$venv.new"
        : >"$venv.new/setup.interpreter"
        mv "$venv.new" "$venv"
        rm -rf "$venv.old"
        logged "$python" -m venv $share "$venv" || fail_with_log 8 "'$python -m venv' failed."
    fi

    if [ "$(cat "$venv/setup.requirements" 2>/dev/null)" != "$requirements" ]; then
        say "installing Python packages (a minute)"
        : >"$venv/setup.interpreter" # pip may take half an installation for a whole one: if interrupted, start again
        # The same bounds for both: what asks for another NumPy shall fail here, and not break `import caffe`. --upgrade: what an
        # older setup brought may be compiled for another NumPy. What is shared with the system stays as it is.
        logged "$venv/bin/python" -m pip install $upgrade "${caffes[@]}" -r "$root/scripts/requirements.txt" &&
            logged "$venv/bin/python" -m pip install $upgrade --no-build-isolation "${caffes[@]}" -e "${root}[$extras]" ||
            fail_with_log 12 "pip could not install the Python packages." "$pip_hint"
        printf '%s\n' "$requirements" >"$venv/setup.requirements"
    fi
    printf '%s\n' "$interpreter" >"$venv/setup.interpreter"
}

# quoted text: the text as one word of sh.
quoted() {
    printf '%s' "$1" | sed "s/'/'\\\\''/g; 1s/^/'/; \$s/\$/'/"
}

# link_caffe: Caffe's python folder on .venv's path, its programs in .venv/bin.
link_caffe() {
    local name program text folder=$caffe_python
    rm -rf "$venv/stock_caffe"
    if caffe_is_packaged; then # other packages in the same folder would come before those of .venv
        folder=$venv/stock_caffe
        mkdir "$folder"
        ln -s "$caffe_python/caffe" "$folder/caffe"
    fi
    printf '%s\n' "$folder" >"$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/stock_caffe.pth"
    for name in caffe convert_imageset compute_image_mean extract_features \
        upgrade_net_proto_text upgrade_net_proto_binary upgrade_solver_proto_text; do
        program=$caffe_programs/$name
        [ -x "$program" ] || program=$program.bin # as `make distribute` of Caffe names them
        [ -x "$program" ] || continue
        text=$(cat "$root/scripts/caffe-launcher.in")
        text=${text//@NAME@/"$name"}
        text=${text//@VENV@/"$(quoted "$venv")"}
        text=${text//@CAFFE_PYTHON@/"$(quoted "$folder")"}
        text=${text//@PYTHONHOME@/"$(quoted "$python_prefix")"}
        text=${text//@PROGRAM@/"$(quoted "$program")"}
        printf '%s\n' "$text" >"$venv/bin/$name.new"
        chmod +x "$venv/bin/$name.new"
        mv "$venv/bin/$name.new" "$venv/bin/$name"
    done
}

# check_result: both imports, and a Python layer in the caffe program, from another folder and an empty environment.
check_result() {
    local environment=(env -i) hint
    hint="Were system libraries upgraded since Caffe was built? rm -r '$(dirname "$caffe_python")' and run 'make setup' again."
    if [ -n "$caffe_root" ]; then
        hint="Is that Caffe complete, and built for exactly this Python and its NumPy? See docs/troubleshooting.md"
        # A Caffe of the user's own may find its libraries, CUDA's say, by this only.
        if [ -n "${LD_LIBRARY_PATH:-}" ]; then environment+=("LD_LIBRARY_PATH=$LD_LIBRARY_PATH"); fi
    fi
    (cd / && logged "${environment[@]}" "$venv/bin/python" -c 'import caffe, caffe_pylayers, cv2') ||
        fail_with_log 8 "'import caffe, caffe_pylayers' fails in .venv, with the Caffe in ${caffe_root:-$(dirname "$caffe_python")}." "$hint"
    (cd / && logged "${environment[@]}" PYTHONPATH="$root/scripts/check" PYTHONDONTWRITEBYTECODE=1 \
        "$venv/bin/caffe" time -model "$root/scripts/check/net.prototxt" -iterations 1) ||
        fail_with_log 8 "a Python layer does not run in .venv/bin/caffe, with the Caffe in ${caffe_root:-$(dirname "$caffe_python")}." "$hint" \
            "'Unknown layer type: Python' means a Caffe built without WITH_PYTHON_LAYER := 1 (CMake: BUILD_python_layer)."
}

clean_up() {
    rm -rf ${work:+"$work"} ${staged:+"$staged"}
    work="" staged=""
}

main() {
    local stamp
    unset PYTHONPATH PYTHONHOME # the user's, not .venv's
    export LC_ALL=C.UTF-8 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_USER=0

    # One setup at a time in a checkout. The lock is on the folder itself: no file is left behind.
    exec 8<"$root"
    flock -n 8 || {
        say "another 'make setup' is running in this checkout: waiting for it"
        flock 8
    }

    python_choice=$(remembered PYTHON)
    caffe_root=$(remembered CAFFE_ROOT)
    find_cache
    if [ -d "$caffe_root" ]; then caffe_root=$(cd "$caffe_root" && pwd); fi
    case $root$cache$caffe_root in *:*)
        fail "a folder with ':' in its name cannot be on PYTHONPATH: $root, $cache${caffe_root:+, $caffe_root}" ;;
    esac
    choose_gpu
    packages=("${PYTHON_PACKAGES[@]}")
    if [ -z "$caffe_root" ]; then packages+=("${CAFFE_PACKAGES[@]}"); fi
    if [ -n "$gpu" ]; then packages+=("${CUDA_PACKAGES[@]}"); fi
    find_interpreter
    stamp=$(
        {
            printf '%s\n' "$root" "$cache" "$python" "$python_version" "$caffe_root" "$gpu" "$cuda_arch" "${gpu:+$CUDA_HOME}"
            cat "$root/setup.cfg" "$root/pyproject.toml" "$root"/scripts/*.* "$root"/scripts/{check,cuda}/*.*
        } | sha256sum
    )
    if [ "$(cat "$venv/setup.done" 2>/dev/null)" = "$stamp" ] && [ -x "$venv/bin/python" ] &&
        [ -x "$venv/bin/caffe" ] && [ -e "$(cat "$venv/setup.extension")" ]; then
        say "nothing to do: .venv is up to date"
        return
    fi

    trap clean_up EXIT
    SECONDS=0
    start_log
    if [ -n "$caffe_root" ]; then use_caffe_root; fi
    if [ -n "$gpu" ]; then
        find_cuda
        architectures=$(gpu_architectures)
    fi
    prepare_system
    check_interpreter
    rm -f "$venv/setup.done"
    make_venv
    if [ -z "$caffe_root" ]; then cached_caffe; fi
    link_caffe
    check_result
    printf '%s' "$python_choice" >"$venv/setup.PYTHON"
    printf '%s' "$caffe_root" >"$venv/setup.CAFFE_ROOT"
    printf '%s' "$gpu" >"$venv/setup.CAFFE_GPU"
    printf '%s' "$cuda_arch" >"$venv/setup.CAFFE_CUDA_ARCH"
    printf '%s' "$CUDA_HOME" >"$venv/setup.CUDA_HOME"
    printf '%s' "$XDG_CACHE_HOME" >"$venv/setup.XDG_CACHE_HOME"
    printf '%s' "$caffe_extension" >"$venv/setup.extension"
    printf '%s\n' "$stamp" >"$venv/setup.done"
    say "done in $SECONDS s: .venv with the Caffe in ${caffe_root:-$(dirname "$caffe_python")}"
}

# Sourced, as the tests do, it only defines its steps.
if [ "${BASH_SOURCE[0]}" = "$0" ]; then main "$@"; fi
