# shellcheck shell=bash
# Stock Caffe: use the one in CAFFE_ROOT, or build the one of the pinned sdist once for all checkouts.

# The source tree of BVLC master (1.0.0) as an sdist. Versions 4.0 and up of this package are another Caffe.
SDIST=brocolli-caffe
SDIST_VERSION=3.0.0
SDIST_SHA256=ad7ba487552f4343df25044a9fa14812a96add48ea2ff993b53bf2dafe8248e2
# Raise it when build_caffe comes to make another Caffe: then older builds are not used any more.
RECIPE=3

# locate_caffe folder: sets caffe_python (holds the package caffe), caffe_extension (its compiled part) and caffe_programs
# (holds caffe), if all are there. In a Caffe of one's own the first is `python`; a packaged one (Debian's, conda's) is
# among the other packages of its Python.
locate_caffe() {
    local candidate
    caffe_python="" caffe_extension="" caffe_programs=""
    for candidate in "$1"/{python,lib/python3*/{dist,site}-packages}/caffe/_caffe*.so; do
        if [ -e "$candidate" ]; then
            caffe_extension=$candidate caffe_python=${candidate%/caffe/*}
            break
        fi
    done
    for candidate in "$1/build/tools" "$1/bin"; do
        if [ -x "$candidate/caffe" ] || [ -x "$candidate/caffe.bin" ]; then
            caffe_programs=$candidate
            break
        fi
    done
    [ -n "$caffe_python" ] && [ -n "$caffe_programs" ]
}

# caffe_is_packaged: whether other packages are in the same folder.
caffe_is_packaged() {
    [ "${caffe_python##*/}" != python ]
}

# shares_packages: whether Caffe is a package of $python itself. Then what it imports is there too, in versions that fit.
shares_packages() {
    caffe_is_packaged && "$python" -c 'import sys; sys.exit(sys.argv[1] not in sys.path)' "$caffe_python"
}

# protobuf_requirement: what a protoc before 3.20 has made is refused by protobuf 4 and later.
protobuf_requirement() {
    if [ -n "$caffe_root" ] && ! grep -q builder "$caffe_python/caffe/proto/caffe_pb2.py"; then
        echo 'protobuf<3.21'
    else
        echo 'protobuf'
    fi
}

# The Python version that an extension is linked with, as 3.11; nothing where it does not tell.
python_of() {
    tr -c '[:alnum:]._' '\n' <"$1" |
        sed -n 's/^libpython\([23]\.[0-9]*\).*/\1/p; s/^libboost_python\([23]\)\([0-9][0-9]*\)\..*/\1.\2/p' |
        sort -u | head -n 1
}

# found_or folder "what to do": what is said of a folder that was looked for.
found_or() {
    if [ -n "$1" ]; then echo "found in $1"; else echo "not found: $2"; fi
}

# use_caffe_root: the user's own Caffe, if it fits the interpreter.
use_caffe_root() {
    local linked forget="To build a stock Caffe instead: CAFFE_ROOT= make setup"
    [ -d "$caffe_root" ] || fail "CAFFE_ROOT=$caffe_root is not a folder." "It must be the folder of a built Caffe." "$forget"
    locate_caffe "$caffe_root" || fail "there is no usable Caffe in CAFFE_ROOT=$caffe_root. Looked for:" \
        "  python/caffe/_caffe.so             $(found_or "$caffe_python" "build it there by 'make pycaffe'")" \
        "  (of a package: lib/python3*/*-packages/caffe/_caffe*.so)" \
        "  build/tools/caffe, or bin/caffe    $(found_or "$caffe_programs" "build it there by 'make all'")" \
        "$forget"
    linked=$(python_of "$caffe_extension")
    if [ -n "$linked" ] && ! runs_with "$linked"; then
        fail "the Caffe in CAFFE_ROOT=$caffe_root is built for Python $linked, but this package needs Python 3.8 or later." \
            "Compile it again for $python. Only pycaffe and the program must be compiled, no net or weights change." "$forget"
    fi
    [ "${linked:-$python_version}" = "$python_version" ] ||
        fail "the Caffe in CAFFE_ROOT=$caffe_root is built for Python $linked, but $python is Python $python_version." \
            "Select the Python that it is for: PYTHON=python$linked CAFFE_ROOT='$caffe_root' make setup" "$forget"
}

# fetch_sdist: sets sdist, the file, fetched by pip where it is not there yet, and verified.
fetch_sdist() {
    local found
    sdist=$cache/sdist/$SDIST-$SDIST_VERSION.tar.gz
    if [ ! -e "$sdist" ]; then
        say "fetching Caffe's source: $SDIST $SDIST_VERSION"
        # pip asks the sdist's setup.py for its metadata; .venv's own setuptools is enough for that.
        logged "$venv/bin/python" -m pip download --no-deps --no-binary :all: --no-build-isolation \
            --dest "$work/download" "$SDIST==$SDIST_VERSION" ||
            fail_with_log 8 "pip could not fetch $SDIST $SDIST_VERSION." "$pip_hint" \
                "A copy that was fetched elsewhere can be put at $sdist"
        mkdir -p "$cache/sdist"
        mv "$work/download/$SDIST-$SDIST_VERSION.tar.gz" "$sdist"
    fi
    found=$(sha256sum <"$sdist" | cut -d ' ' -f 1)
    [ "$found" = "$SDIST_SHA256" ] || fail "$sdist is not the expected file." \
        "sha256 found:     $found" \
        "sha256 expected:  $SDIST_SHA256" \
        "Was the download cut short? Delete the file and run 'make setup' again."
}

# show_progress: passes ninja's lines on, and shows their [n/39] in place, or every 10 where there is no terminal.
show_progress() {
    local line shown=0
    while IFS= read -r line; do
        printf '%s\n' "$line"
        [[ $line =~ ^\[([0-9]+)/([0-9]+)\] ]] || continue
        if [ -t 2 ]; then
            printf '\r[setup]   %s of %s steps ' "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}" >&2
            if [ "${BASH_REMATCH[1]}" = "${BASH_REMATCH[2]}" ]; then printf '\n' >&2; fi
        elif [ "${BASH_REMATCH[1]}" -ge $((shown + 10)) ]; then
            shown=${BASH_REMATCH[1]}
            printf '[setup]   %s of %s steps\n' "$shown" "${BASH_REMATCH[2]}" >&2
        fi
    done
}

# build_caffe prefix: compiles in $work, installs into $staged; one move then puts it at prefix.
build_caffe() {
    local prefix=$1 source=$work/source build=$work/build jobs numpy hint opencv="" standard=14 minutes=2
    local devices=(-DCPU_ONLY=ON) readers=(-DUSE_OPENCV=ON -DUSE_LEVELDB=ON)
    jobs=${JOBS:-$(getconf _NPROCESSORS_ONLN)}
    numpy=$("$venv/bin/python" -c 'import numpy; print(numpy.get_include())')
    mkdir -p "$source/examples"
    tar -xzf "$sdist" -C "$source" --strip-components 1
    : >"$source/examples/CMakeLists.txt" # Caffe's CMakeLists.txt enters the folder; the sdist lacks it
    # Boost.System is in headers since Boost 1.69, and Boost 1.92 has no library for it any more.
    sed -i 's/ COMPONENTS system / COMPONENTS /' "$source/cmake/Dependencies.cmake"

    if [ -n "$portable" ]; then readers=(-DUSE_OPENCV=OFF -DUSE_LEVELDB=OFF); elif is_debian; then opencv=$root/scripts/opencv; fi
    if [ -n "$gpu" ]; then
        fetch_cuda
        patch_for_cuda "$source"
        mapfile -t devices < <(gpu_options)
        standard=17 minutes=5 # the headers of CUDA 13 need C++17
        say "Caffe will run on GPUs of compute capability $architectures, by CUDA $cuda_version in $cuda"
    fi

    say "configuring Caffe"
    # PYTHON_*: left to itself, CMake looks for them by version and may mix two interpreters.
    # CV_LOAD_*: OpenCV 4 has other names for them. -w: the warnings are upstream's.
    # CMAKE_UNITY_BUILD: several sources a compiler run, which takes 170 s of processor time in place of 290.
    # CMAKE_POLICY_VERSION_MINIMUM: CMake 4 refuses a project as old as Caffe without it.
    logged env PATH="$build_path" cmake -G Ninja -S "$source" -B "$build" \
        -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX="$prefix" -DCMAKE_POLICY_VERSION_MINIMUM=3.5 \
        -DCMAKE_UNITY_BUILD=ON -DCMAKE_UNITY_BUILD_BATCH_SIZE=6 \
        "${devices[@]}" -DBLAS=Open "${readers[@]}" ${opencv:+"-DOpenCV_DIR=$opencv"} -DUSE_LMDB=ON -DUSE_HDF5=ON \
        -DBUILD_docs=OFF -DBUILD_matlab=OFF -Dpython_version=3 \
        -DPYTHON_EXECUTABLE="$venv/bin/python" -DPYTHON_INCLUDE_DIR="$python_include" \
        -DPYTHON_LIBRARY="$python_library" -DNUMPY_INCLUDE_DIR="$numpy" \
        -DCMAKE_CXX_FLAGS="-std=c++$standard -w -DCV_LOAD_IMAGE_COLOR=cv::IMREAD_COLOR -DCV_LOAD_IMAGE_GRAYSCALE=cv::IMREAD_GRAYSCALE" ||
        fail_with_log 20 "CMake could not configure Caffe." \
            "Is a library missing? See docs/troubleshooting.md, then run 'make setup' again."

    say "compiling Caffe, $jobs files at a time ($minutes minutes on two cores)"
    PATH=$build_path ninja -C "$build" -j "$jobs" 2>&1 | show_progress >>"$log" || {
        hint="The first error:  grep -n -m 1 -A 5 'error' '$log'"
        if grep -q 'Killed signal' "$log"; then hint="The compiler ran out of memory. Compile one file at a time: JOBS=1 make setup"; fi
        fail_with_log 25 "Caffe did not compile." "$hint"
    }
    logged env PATH="$build_path" DESTDIR="$staged" ninja -C "$build" install ||
        fail_with_log 12 "Caffe was compiled, but could not be installed into $staged."
    cp -R "$source/python/caffe/test" "$staged$prefix/python/caffe/" # upstream's tests, which its installation leaves out

    # Its libraries hold the final path. There is nothing at that path until this move, and then all of it.
    mv -T "$staged$prefix" "$prefix"
}

# build_folder: where the build for this interpreter belongs.
build_folder() {
    local key parts
    # What makes one build differ from another: source, recipe, NumPy, interpreter, machine, system; for GPUs what gpu_options says.
    parts=("$SDIST_SHA256" "$RECIPE" "$(numpy_requirement)" "$python_library" "$(uname -m)" "$(sed -n '/^ID=/p; /^VERSION_ID=/p' /etc/os-release)")
    if [ -n "$gpu" ]; then parts+=("$(gpu_options)" "$cuda_version"); fi
    if [ -n "$portable" ]; then parts+=(portable); fi
    key=$(printf '%s\n' "${parts[@]}" | sha256sum | cut -c 1-12)
    printf '%s' "$cache/caffe-1.0.0-py$python_version${gpu:+-cuda$cuda_version}-$key"
}

# cached_caffe: the build that all checkouts share, made where it is not there.
cached_caffe() {
    local prefix
    prefix=$(build_folder)
    if locate_caffe "$prefix"; then return; fi

    exec 9>"$cache/lock"
    flock -n 9 || {
        say "another 'make setup' is building Caffe: waiting for it"
        flock 9
    }
    if ! locate_caffe "$prefix"; then # it may have come while we waited
        rm -rf "$cache"/work.*        # left by a build that was killed
        staged=$(mktemp -d "$cache/work.XXXXXX")
        work=$staged
        # Caffe's CMake files do not quote their paths: no white space in the name of the folder to build in.
        case $cache in *[[:space:]]*) work=$(mktemp -d /tmp/caffe_pylayers.XXXXXX) ;; esac
        need_space "$work" 500 "building Caffe" "name another folder by XDG_CACHE_HOME"
        fetch_sdist
        build_caffe "$prefix"
        clean_up
        locate_caffe "$prefix"
    fi
    exec 9>&-
}
