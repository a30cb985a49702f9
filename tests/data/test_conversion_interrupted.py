"""convert: killed, stopped or out of room at any moment, it leaves the target as it was, and goes on when it is run again."""

import json
import os
import pickle
import re
import signal
import subprocess
import sys
import time

import psutil
import pytest

from caffe_pylayers.commands.convert.convert import Conversion, Images, Origin, convert
from caffe_pylayers.commands.convert.unfinished import Unfinished
from caffe_pylayers.errors import DataError
from tests.data.conversions import SUFFIXES
from tests.layers.runs import assert_gone, heed_ctrl_c
from tests.refusals import refused
from tests.transcripts import environment

#: Runs a conversion in processes of its own, kills them at random moments until it has killed six, and then lets it end.
#: Prints a checksum of all files of the target for each time that it was finished, the first one undisturbed.
KILLER = """
import hashlib, os, pickle, random, shutil, signal, sys, time
from caffe_pylayers.commands.convert.convert import convert
import caffe_pylayers.commands.convert.run  # once, not in each process

conversion, seed = pickle.load(open(sys.argv[1], "rb"))
folder, moments, kills = os.path.dirname(conversion.target), random.Random(seed), 0

def start():
    process = os.fork()
    if not process:
        convert(conversion)
        os._exit(0)
    return process

def finish():
    digest = hashlib.sha256()
    for name in os.listdir(folder):
        if ".partial.partial-" in name:  # of one that was killed as it cleared up: the next conversion removes it
            assert set(os.listdir(os.path.join(folder, name))) <= {"lock", "installing.json"}
            shutil.rmtree(os.path.join(folder, name))
    for place, folders, names in sorted(os.walk(folder)):
        folders.sort()
        for name in sorted(names):
            if not name.endswith(".provenance.json"):
                digest.update(os.path.join(place, name).encode() + open(os.path.join(place, name), "rb").read())
    print("finished", os.path.exists(conversion.target), digest.hexdigest(), flush=True)
    shutil.rmtree(folder)
    os.mkdir(folder)

def is_done():
    # Killed between the two, the same conversion only clears up.
    return os.path.exists(conversion.target) and not os.path.exists(f"{conversion.target}.partial")

began = time.monotonic()
assert os.waitpid(start(), 0)[1] == 0
longest = time.monotonic() - began
finish()
while kills < 6:
    process = start()
    time.sleep(moments.random() * longest)
    os.kill(process, signal.SIGKILL)
    status = os.waitpid(process, 0)[1]
    assert status == signal.SIGKILL or (status == 0 and is_done()), status
    if status:
        kills += 1
        print("killed", os.path.exists(conversion.target), len(os.listdir(folder)), flush=True)
    if is_done():
        finish()
if not is_done():
    assert os.waitpid(start(), 0)[1] == 0
finish()
"""


@pytest.fixture(scope="module")
def origin(photos, tmp_path_factory):
    """240 photos of many sizes, with a weight each."""
    folder = tmp_path_factory.mktemp("many")
    lines = ["name,label,weight"]
    lines += [f"{photos.names[number % 37]},{number % 5},{number / 8}" for number in range(240)]
    (folder / "list.csv").write_text("\n".join(lines))
    return Origin("CSV", f"{folder}/list.csv", root=str(photos.folder), header=True)


def conversion_of(origin, target, format="BCF", size=64, **options):
    return Conversion(origin, str(target), Images(format, (size, size)), **options)


@pytest.mark.parametrize("format", SUFFIXES)
def test_killed_at_six_random_moments(format, origin, tmp_path):
    """The bytes are those of an undisturbed run, and the target is there whole or not at all."""
    (tmp_path / "out").mkdir()
    conversion = conversion_of(
        origin, tmp_path / "out" / f"it{SUFFIXES[format]}", format, size=64, shuffle=True, seed=3
    )
    (tmp_path / "order").write_bytes(pickle.dumps((conversion, 0)))
    run = [sys.executable, "-c", KILLER, tmp_path / "order"]
    lines = subprocess.run(run, capture_output=True, text=True, check=True).stdout.splitlines()
    finished = [line for line in lines if line.startswith("finished")]
    assert len(finished) >= 2 and len({*finished}) == 1 and "True" in finished[0]
    killed = [line for line in lines if line.startswith("killed")]
    assert len(killed) == 6 and sum("False" in line for line in killed) >= 3


def run_command(arguments, folder, **options):
    command = [sys.executable, "-m", "caffe_pylayers", "convert", *map(str, arguments)]
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_ctrl_c,
        **options,
    )


def wait_for(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited for too long"
        time.sleep(0.01)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "kill -9"])
def test_no_process_is_left_and_it_goes_on_where_it_was(how, origin, tmp_path):
    arguments = [origin.source, "it.bcf", "--root", origin.root, "--header", "--resize", "300", "--workers", "2"]
    run = run_command(arguments, tmp_path, start_new_session=True)
    segments = tmp_path / "it.bcf.partial" / "segments"
    finished = lambda: {path: path.stat().st_mtime_ns for path in segments.glob("??????")}  # noqa: E731
    wait_for(lambda: len(finished()) >= 3)
    workers = psutil.Process(run.pid).children(recursive=True)
    assert len(workers) >= 2
    os.killpg(run.pid, how) if how == signal.SIGINT else run.kill()
    _, errors = run.communicate(timeout=120)
    assert_gone(workers)
    if how == signal.SIGINT:
        assert run.returncode == 130
        assert f"finished records stay in {tmp_path}/it.bcf.partial: give the same command again" in errors
        assert "Traceback" not in errors
    assert os.listdir(tmp_path) == ["it.bcf.partial"]
    before = finished()
    run = run_command([*arguments, "--json"], tmp_path)
    wait_for(lambda: len(finished()) > len(before))
    assert {path: time for path, time in finished().items() if path in before} == before
    output, errors = run.communicate(timeout=200)
    assert run.returncode == 0, errors
    assert "of 240 records from an earlier run: continuing" in errors
    assert json.loads(output)["records"] == 240
    assert sorted(os.listdir(tmp_path)) == [
        "it.bcf",
        "it.bcf.labels.npy",
        "it.bcf.provenance.json",
        "it.bcf.weights.npy",
    ]


@pytest.fixture
def with_a_bad_record(photos, tmp_path):
    """A list whose record 190 is no image."""
    (tmp_path / "bad.jpg").write_bytes(b"no image")
    names = [f"{photos.folder}/{photos.names[number % 37]}" for number in range(200)]
    names[190] = f"{tmp_path}/bad.jpg"
    (tmp_path / "list.csv").write_text("".join(f"{name},{number % 5}\n" for number, name in enumerate(names)))
    return Origin("CSV", f"{tmp_path}/list.csv")


def stop_at_the_bad_record(conversion):
    with refused(DataError, "not an image", source="bad.jpg", record=190):
        convert(conversion)


def test_what_is_finished_serves_the_same_conversion_only(with_a_bad_record, tmp_path):
    target = tmp_path / "it.bcf"
    stop_at_the_bad_record(conversion_of(with_a_bad_record, target))
    segments = tmp_path / "it.bcf.partial" / "segments"
    finished = 8 * len([*segments.glob("??????")])
    assert finished > 140 and not target.exists()
    said = []
    # To leave bad records out does not change those that are finished; a damaged segment is made again.
    (segments / "000003").write_bytes((segments / "000003").read_bytes()[:-1])
    damaged = bytearray((segments / "000004").read_bytes())
    damaged[5] ^= 1
    (segments / "000004").write_bytes(damaged)
    entry = convert(conversion_of(with_a_bad_record, target, skip=True), say=said.append)
    assert said == [f"{target}.partial has {finished - 16} of 200 records from an earlier run: continuing"]
    assert (entry["records"], entry["skipped"]) == (199, 1)
    undisturbed = convert(conversion_of(with_a_bad_record, tmp_path / "other.bcf", skip=True))
    assert entry["files"]["it.bcf"] == undisturbed["files"]["other.bcf"]
    for change, option in (("images", {"size": 60}), ("order", {"shuffle": True})):
        stop_at_the_bad_record(conversion_of(with_a_bad_record, tmp_path / f"{change}.bcf"))
        convert(conversion_of(with_a_bad_record, tmp_path / f"{change}.bcf", skip=True, **option), say=said.append)
        assert said.pop() == f"{tmp_path}/{change}.bcf.partial is from another conversion ({change}): starting again"
    stop_at_the_bad_record(conversion_of(with_a_bad_record, tmp_path / "source.bcf"))
    (tmp_path / "bad.jpg").write_bytes(b"still no image")
    convert(conversion_of(with_a_bad_record, tmp_path / "source.bcf", skip=True), say=said.append)
    assert "is from another conversion (contents of the source): starting again" in said.pop()


def test_two_processes_at_one_target(origin, tmp_path):
    with Unfinished(str(tmp_path / "it.bcf")), pytest.raises(DataError, match="another process is writing it now"):
        convert(conversion_of(origin, tmp_path / "it.bcf"))
    assert os.listdir(tmp_path) == []


#: Replaces the target of a conversion by that of another, again and again, each time in a process that kills itself at
#: a later renaming; then does it undisturbed. Prints which of the two there are: the file, and its labels.
DIE_AT_EACH = """
import os, pickle, signal, sys
from caffe_pylayers.commands.convert.convert import convert

old, new = pickle.load(open(sys.argv[1], "rb"))
pieces = [new.target, new.target + ".labels.npy"]

def run(conversion, moment):
    process = os.fork()
    if not process:
        left = [moment]
        def or_killed(rename):
            def renamed_or_killed(source, target):
                left[0] -= 1
                if left[0] < 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                rename(source, target)
            return renamed_or_killed
        os.rename, os.replace = or_killed(os.rename), or_killed(os.replace)
        convert(conversion, force=True)
        os._exit(0)
    return os.waitpid(process, 0)[1]

def there():
    return [open(piece, "rb").read() if os.path.exists(piece) else None for piece in pieces]

assert run(new, 1000) == 0
wanted = there()
assert run(old, 1000) == 0
was = there()
for moment in range(100):
    status = run(new, moment)
    found = there()
    print([("old", "new", "none")[(was[n], wanted[n], None).index(found[n])] for n in (0, 1)], flush=True)
    if not status:
        break
    assert run(new, 1000) == 0 and there() == wanted
    (old, was), (new, wanted) = (new, wanted), (old, was)  # the other way round next time
    assert sorted(os.listdir(os.path.dirname(new.target))) == ["it.bcf", "it.bcf.labels.npy", "it.bcf.provenance.json"]
"""


def test_killed_while_the_new_takes_the_place_of_the_old(photos, tmp_path):
    """At no moment is there a target with the labels of another."""
    (tmp_path / "list.csv").write_text("".join(f"{name},7\n" for name in photos.names))
    (tmp_path / "out").mkdir()
    old, new = (
        conversion_of(Origin("CSV", f"{listed}", root=str(photos.folder)), tmp_path / "out" / "it.bcf", size=size)
        for listed, size in ((tmp_path / "list.csv", 8), (photos.csv, 9))
    )
    (tmp_path / "order").write_bytes(pickle.dumps((old, new)))
    run = [sys.executable, "-c", DIE_AT_EACH, tmp_path / "order"]
    lines = subprocess.run(run, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    assert len(lines) > 8 and lines[0] == "['old', 'old']" and lines[-1] == "['new', 'new']"
    assert {*lines} <= {"['old', 'old']", "['none', 'old']", "['none', 'none']", "['none', 'new']", "['new', 'new']"}


@pytest.mark.parametrize("format, limit", [("CSV", 3_000), ("LMDB", 40_000), ("BCF", 40_000), ("HDF5", 40_000)])
def test_a_full_disk(format, limit, origin, tmp_path):
    """Files cannot grow beyond a limit, which the system reports as it does a full disk."""
    target = f"it{SUFFIXES[format]}"
    arguments = [origin.source, target, "--root", origin.root, "--header", "--resize", "30x31", "--workers", "1"]
    limited = ["prlimit", f"--fsize={limit}", sys.executable, "-m", "caffe_pylayers", "convert", *arguments]
    # Python's own files of compiled modules would be cut short, those of the workers too.
    variables = {**environment(), "PYTHONDONTWRITEBYTECODE": "1"}
    run = subprocess.run(limited, cwd=tmp_path, env=variables, capture_output=True, text=True)
    assert run.returncode == 2, run.stderr
    assert re.search(f"{tmp_path}/{target}: cannot write it: .*ulimit -f", run.stderr), run.stderr
    assert "Traceback" not in run.stderr
    assert os.listdir(tmp_path) in ([], [f"{target}.partial"])
    run = subprocess.run(limited[2:], cwd=tmp_path, env=environment(), capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert {target, f"{target}.provenance.json"} < {*os.listdir(tmp_path), ""}
    assert f"{target}.partial" not in os.listdir(tmp_path)


def test_killed_while_it_clears_up(origin, tmp_path):
    """The next conversion there removes what is left of the folder, which is no unfinished one any more."""
    conversion = conversion_of(origin, tmp_path / "it.bcf")
    kill = (
        "import os, pickle, shutil, signal, sys\nfrom caffe_pylayers.commands.convert import unfinished\nfrom caffe_pylayers.commands.convert.convert import convert\n"
        "rmtree = unfinished.shutil.rmtree\n"
        "def killed(folder, **how):\n"
        "    '.partial.' in folder and os.kill(os.getpid(), signal.SIGKILL)\n"
        "    rmtree(folder, **how)\n"
        "unfinished.shutil.rmtree = killed\n"
        "convert(pickle.load(open(sys.argv[1], 'rb')))\n"
    )
    (tmp_path / "order").write_bytes(pickle.dumps(conversion))
    assert subprocess.run([sys.executable, "-c", kill, tmp_path / "order"]).returncode == -signal.SIGKILL
    left = sorted(os.listdir(tmp_path))
    assert left[:2] == ["it.bcf", "it.bcf.labels.npy"] and left[2].startswith("it.bcf.partial.partial-")
    whole = (tmp_path / "it.bcf").read_bytes()
    with refused(DataError, "already", "it.bcf"):
        convert(conversion)
    convert(conversion, force=True)
    assert (tmp_path / "it.bcf").read_bytes() == whole
    assert not [name for name in os.listdir(tmp_path) if "partial" in name]
