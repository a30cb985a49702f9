# shellcheck shell=bash
# Packages of Debian and Ubuntu that the build needs: find the missing ones, install them or say how. All names of
# packages are here. They hold from Debian 11 and Ubuntu 22.04 on; docs/machines.md has where they were tried.

CAFFE_PACKAGES=(g++ cmake ninja-build protobuf-compiler libprotobuf-dev
    libboost-python-dev libboost-thread-dev libboost-filesystem-dev
    libgoogle-glog-dev libgflags-dev libhdf5-dev liblmdb-dev libleveldb-dev libsnappy-dev
    libopenblas-dev libopencv-core-dev libopencv-imgproc-dev libopencv-imgcodecs-dev)
# pip needs the first; the wheel of opencv-python loads the other two.
PYTHON_PACKAGES=(ca-certificates libgl1 libglib2.0-0)
# Caffe's source is changed for CUDA 13.
CUDA_PACKAGES=(patch)
# For where there is no Python, or none that Caffe can be built with.
DEBIANS_PYTHON=(python3 python3-dev python3-venv)

# What a Python of /usr/bin, of this version, needs beside it: Debian has headers, shared library and venv elsewhere.
packages_of_python() {
    echo "python$1-dev" "python$1-venv"
}

is_debian() {
    command -v apt-get >/dev/null && command -v dpkg-query >/dev/null
}

# missing_packages name ...: those of the names that no installed package has or provides, in one line. A package that
# was renamed provides its old name: libglib2.0-0t64 is libglib2.0-0 since Debian 13 and Ubuntu 24.04.
missing_packages() {
    local package installed missing=()
    installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}, ${Provides}\n' |
        sed -n 's/^installed//; T; s/([^)]*)//g; s/[ ,]\{1,\}/ /g; p')
    for package in "$@"; do
        case " ${installed//$'\n'/ } " in *" $package "*) ;; *) missing+=("$package") ;; esac
    done
    echo "${missing[*]}"
}

# What to put before a command that needs root: nothing for root, sudo where it asks for no password.
root_prefix() {
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null && sudo -n true 2>/dev/null && echo "sudo -n"
    fi
}

has_package_lists() {
    [ -n "$(find /var/lib/apt/lists -name '*_Packages*' -print -quit 2>/dev/null)" ]
}

# require_packages name ...: returns with all of them installed, or ends with the command to type.
require_packages() {
    local missing prefix install command
    missing=$(missing_packages "$@")
    [ -n "$missing" ] || return 0
    install="apt-get install -y --no-install-recommends $missing"
    command="sudo $install"
    has_package_lists || command="sudo apt-get update && $command"
    prefix=$(root_prefix) ||
        fail "Debian packages are missing, and installing them needs root." "Run this, then 'make setup' again:" "  $command"
    start_log
    case $missing in *libopencv-core-dev*) need_space /usr 1600 "installing Debian packages" ;; esac
    say "installing Debian packages (a minute): $missing"
    # shellcheck disable=SC2086  # $prefix and $install are lists of words
    set -- $prefix env DEBIAN_FRONTEND=noninteractive
    has_package_lists || logged "$@" apt-get update || true
    # shellcheck disable=SC2086
    logged "$@" $install -o DPkg::Lock::Timeout=300 || {
        # Package lists that are out of date, or an installation that was interrupted.
        logged "$@" dpkg --configure -a || true
        logged "$@" apt-get update || true
        logged "$@" $install -o DPkg::Lock::Timeout=300
    } || fail_with_log 12 "apt-get could not install Debian packages." \
        "Is there no network, or no matching entry in /etc/apt/sources.list? Make this command work, then run 'make setup' again:" \
        "  ${prefix:+sudo }$install"
}

# check_boost: Boost.Python is one library for each version of Python, and Debian has it for its own Python only.
check_boost() {
    local library=libboost_python${python_version/./}.so there
    there=$(find /usr/lib /usr/local/lib -name 'libboost_python3*.so' 2>/dev/null | sed 's|.*/||' | sort -u | xargs)
    case " $there " in
        *" $library "*) ;;
        *) fail "Caffe needs $library for $python (Python $python_version); this system has ${there:-none of its kind}." \
            "Select the Python that the system's Boost is for: PYTHON=/usr/bin/python3 make setup" ;;
    esac
}
