#!/usr/bin/env bash
# A bare Debian or Ubuntu in a folder, and in it `make setup`, the demo and tests. docs/machines.md says what was seen.
set -euo pipefail

USAGE="Type: scripts/try_machine.sh RELEASE [option ...], as root
  --user         a user without sudo; root types only the command that 'make setup' prints
  --sudo         a user with sudo; without --user and --sudo it is root
  --demo         the whole 'make demo', not the short one
  --test         the whole 'make test', not a part of the tests
  --folder DIR   make the machine in a new folder in DIR (default: \${TMPDIR:-/var/tmp}); it takes 4 GB
  --keep         leave the machine there at the end
On bullseye the package is tried beside Debian's own Caffe, in each way to install it, as root."
RELEASES="Debian: bullseye bookworm trixie testing; Ubuntu: jammy noble"
# They are quick, and each meets something of the system: Caffe and its BLAS, liblmdb, libhdf5, pip's packages, processes.
QUICK_TESTS="tests/test_setup.py tests/test_nets.py tests/losses/test_every_loss.py tests/losses/test_euclidean.py \
tests/losses/test_contrastive.py tests/data/test_lmdb.py tests/data/test_hdf5.py tests/layers/test_processes.py"

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/caffe_pylayers
title=try_machine log=${log:-}
. "$root/scripts/messages.sh"

# read_arguments word ...: sets what is to be tried: release, account, demo, tests, folder, keep.
read_arguments() {
    release="" account=root demo=short tests=short folder=${TMPDIR:-/var/tmp} keep=""
    while [ $# -gt 0 ]; do
        case $1 in
            -h | --help) printf '%s\n' "$USAGE" && exit ;;
            --user | --sudo) account=${1#--} ;;
            --demo) demo=whole ;;
            --test) tests=whole ;;
            --keep) keep=yes ;;
            --folder) folder=${2:-} && shift ;;
            -*) fail "the option '$1' is unknown." "$USAGE" ;;
            *) [ -z "$release" ] && release=$1 || fail "'$release' and '$1': name one release." "$USAGE" ;;
        esac
        shift || break
    done
    # debootstrap has one script for all releases of Ubuntu; that of Debian 12 does not know the newest by name.
    case $release in
        bullseye | bookworm | trixie | testing)
            distribution=Debian components=main script="" mirror=""
            ;;
        jammy | noble)
            distribution=Ubuntu components=main,universe
            script=/usr/share/debootstrap/scripts/gutsy mirror=http://archive.ubuntu.com/ubuntu
            ;;
        "") fail "no release is named." "$RELEASES" "$USAGE" ;;
        *) fail "the release '$release' is unknown." "$RELEASES" ;;
    esac
    [ -d "$folder" ] || fail "--folder: '$folder' is not a folder." "Name one that is there, on a disk with 4 GB free."
    folder=$(cd "$folder" && pwd)
}

# check_host: may and can this host do it?
check_host() {
    local program
    [ "$(id -u)" = 0 ] || fail "to make a machine in a folder needs root." "sudo scripts/try_machine.sh $release"
    for program in debootstrap setpriv unshare git; do
        command -v "$program" >/dev/null ||
            fail "the program '$program' is missing." "apt-get install -y --no-install-recommends debootstrap util-linux git"
    done
    need_space "$folder" 4000 "a machine" "name another folder by --folder"
}

# begin: makes the folder, then runs the steps in namespaces of their own: what is mounted or runs there ends with them,
# however they or this process end.
begin() {
    start_log
    work=$(mktemp -d "$folder/caffe_pylayers-$release.XXXXXX")
    chmod 755 "$work"
    trap end EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    export release account demo tests work distribution components script mirror log
    setpriv --pdeathsig KILL env --default-signal=INT,QUIT setsid unshare --mount --pid --fork --kill-child \
        "$BASH" "${BASH_SOURCE[0]}" --in-namespaces &
    namespaces=$!
    wait "$namespaces"
}

# end: the first process of the namespaces takes the others with it.
end() {
    local first
    first=$(cat "/proc/$namespaces/task/$namespaces/children" 2>/dev/null) || true
    if [ -n "$first" ]; then kill -KILL $first || true; fi
    wait "$namespaces" || true
    if [ -n "$keep" ]; then
        say "the machine is in $work/machine; remove it: rm -rf '$work'"
    else
        rm -rf --one-file-system "$work"
    fi
}

# --- in the namespaces ---------------------------------------------------------------------------------------

# step "what" command ...: its output goes to the log; prints what was done, its time, its result and its last line.
step() {
    local what=$1 began=$SECONDS result=ok
    shift
    printf '\n[%s] %s: %s\n' "$title" "$what" "$*" >>"$log"
    "$@" >"$work/output" 2>&1 </dev/null || result=FAILED
    cat "$work/output" >>"$log"
    printf '%-40s %5s s  %-6s  %s\n' "$what" "$((SECONDS - began))" "$result" "$(tail -n 1 "$work/output" | cut -c 1-110)"
    [ $result = ok ]
}

# carry_network: what each machine in the host's network has: names, certificates, mirrors, proxies.
carry_network() {
    local certificates=${PIP_CERT:-/etc/ssl/certs/ca-certificates.crt} copy=/etc/certificates-of-the-host.crt
    cp -L /etc/resolv.conf /etc/hosts "$machine/etc/"
    apt-config dump --format '%F "%v";%n' Acquire::http Acquire::https Acquire::Check-Valid-Until \
        >"$machine/etc/apt/apt.conf.d/50host" || true
    # Settings of pip that name files of the host mean nothing in the machine, but for its certificates.
    {
        echo '[global]'
        python3 -m pip config list |
            sed -n "s/^global\.\([a-z-]*\)='\(.*\)'$/\1 = \2/p" | grep -v -e '^cert ' -e ' = /' -e ' = file:'
    } >"$machine/etc/pip.conf" || true
    if [ -e "$certificates" ]; then
        cp -L "$certificates" "$machine$copy"
        echo "cert = $copy" >>"$machine/etc/pip.conf"
        echo "Acquire::https::CaInfo \"$copy\";" >>"$machine/etc/apt/apt.conf.d/50host"
    fi
}

# make_bare: the system, with the host's network, and `make`.
make_bare() {
    local hosts
    hosts=$(apt-get indextargets --format '$(REPO_URI)' "Origin: $distribution" "Label: $distribution" | head -n 1) || true
    mkdir -p "$cache/packages"
    debootstrap --variant=minbase --components="$components" --cache-dir="$cache/packages" \
        "$release" "$machine" "${hosts:-$mirror}" "$script" || return
    mount -t proc proc "$machine/proc" &&
        mount --rbind /sys "$machine/sys" &&
        mount --rbind /dev "$machine/dev" &&
        mount -t tmpfs -o mode=1777 tmpfs "$machine/dev/shm" &&
        mount --bind "$cache/packages" "$machine/var/cache/apt/archives" || return
    carry_network
    echo force-unsafe-io >"$machine/etc/dpkg/dpkg.cfg.d/container" # as in containers: half the time
    chroot "$machine" sh -c 'apt-get update && apt-get install -y --no-install-recommends make' || return
    rm -r "$machine"/var/lib/apt/lists/* # a container often comes without
}

# make_account: the one that works in the machine, and its checkout: HEAD, without what git ignores or does not know yet.
make_account() {
    home=/root
    if [ "$account" != root ]; then
        home=/home/tester
        chroot "$machine" useradd --create-home --shell /bin/bash --uid 1000 tester || return
    fi
    if [ "$account" = sudo ]; then
        chroot "$machine" sh -c 'apt-get update && apt-get install -y --no-install-recommends sudo' || return
        echo 'tester ALL=(ALL) NOPASSWD: ALL' >"$machine/etc/sudoers.d/tester"
    fi
    git clone --quiet --no-hardlinks "$root" "$machine$home/caffe_pylayers" || return
    chroot "$machine" chown -R "$(stat -c %u:%g "$machine$home")" "$home"
    git -C "$root" log -1 --format='%h %s'
}

# typed line: the account types it in its checkout; of the host's environment it has the network settings.
typed() {
    local carried
    mapfile -t carried < <(env | grep -e '^PIP_' -e '_proxy=' -e '_PROXY=' | grep -v -e '^PIP_CERT=' -e '=/' -e '=file:')
    chroot --userspec="$(stat -c %u:%g "$machine$home")" --groups= "$machine" \
        env -i HOME=$home PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "${carried[@]}" \
        bash -c "cd ~/caffe_pylayers && $1"
}

# refused: `make setup` of a user who may not install; its last line is the command that root must type.
refused() {
    ! typed 'make setup' 2>&1 | tee "$work/refused" || return
    grep '^ *sudo apt-get ' "$work/refused"
}

# set_up: `make setup`, which asks a user without sudo once, for all that is missing, and then has all.
set_up() {
    if [ "$account" = user ]; then
        step "make setup, which names what is missing" refused || return
        step "root types the printed command" chroot "$machine" sh -c "$(tail -n 1 "$work/output" | sed 's/sudo //g')" || return
    fi
    step "make setup" typed 'make setup' || return
    step "make setup, again" typed 'make setup'
}

in_namespaces() {
    local failed=0
    machine=$work/machine
    step "a bare $release" make_bare || return
    step "a checkout for ${account/user/a user without sudo}" make_account || return
    if [ "$release" = bullseye ]; then # it packages a Caffe, and the package beside that is what is tried
        step "its packaged Caffe" typed 'apt-get update && scripts/machines/packaged_caffe.sh'
        return
    fi
    set_up || return
    step "versions" typed '. /etc/os-release; . .venv/bin/activate; python -c "import sys, cv2, h5py, numpy, google.protobuf
print(sys.argv[1], \"Python\", sys.version.split()[0], *(f\"{m.__name__} {m.__version__}\" for m in (numpy, cv2, h5py, google.protobuf)))" "$PRETTY_NAME"'
    if [ "$demo" = short ]; then
        step "demo, short" typed '.venv/bin/python demo/run.py --quick --digits' || failed=1
    else
        step "make demo" typed 'make demo' || failed=1
    fi
    if [ "$tests" = short ]; then
        step "a part of the tests" typed ".venv/bin/python -m pytest -q $QUICK_TESTS" || failed=1
    else
        step "make test" typed 'make test' || failed=1
    fi
    return $failed
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
    if [ "${1:-}" = --in-namespaces ]; then
        in_namespaces
    else
        read_arguments "$@"
        check_host
        begin
    fi
    exit # with what it ended with; and should the file change meanwhile, bash reads no more of it
fi
