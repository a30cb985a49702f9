"""`caffe-pylayers check` as it is typed: what it prints, and its exit status."""

import fcntl
import json
import os
import pty
import re
import struct
import sys
import termios

import pytest

from caffe_pylayers.commands.program import main
from tests.checks.good_nets import NET, SOLVER, write_good


@pytest.fixture(autouse=True)
def good(tmp_path, monkeypatch):
    write_good(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def check(capsys):
    """Run the command; returns status, and what it prints on stdout and stderr."""

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(["check", *arguments])
        return (ended.value.code, *capsys.readouterr())

    return run


def test_nothing_wrong(check):
    assert check("net.prototxt", "--no-build", "--no-data") == (
        0,
        "not checked: data (--no-data); shapes (--no-build): nothing wrong in 1 net (TRAIN, TEST), 9 layers\n",
        "",
    )


def test_findings_stand_in_the_order_of_files_and_lines_each_once(good, check):
    (good / "net.prototxt").write_text(
        NET.replace('"pool"  top: "scores"', '"pol"  top: "scores"').replace("kernel_size: 3", "kernl: 3")
    )
    (good / "solver.prototxt").write_text(SOLVER.replace('"step"', '"stp"'))
    status, out, err = check("solver.prototxt", "net.prototxt")
    places = re.findall(r"^\S+:\d+", out, re.MULTILINE)
    assert places == ["solver.prototxt:5", "net.prototxt:23", "net.prototxt:29"]
    assert out.splitlines()[-1] == (
        "not checked: shapes of nets with errors; 4 of 20 records read, --all-data reads all: "
        "3 errors in 1 solver, 1 net (TRAIN, TEST), 9 layers, 2 sources"
    )
    assert (status, err) == (1, "")


def test_a_warning_counts_where_it_is_asked_to(good, check):
    (good / "net.prototxt").write_text(NET.replace('name: "relu"', 'name: "pool"'))
    assert check("net.prototxt", "--no-build")[0] == 0
    status, out, _ = check("net.prototxt", "--no-build", "--strict")
    assert status == 1
    assert "net.prototxt:27: warning: layer 'pool': layer 'pool' in line 25 has this name too\n    give each" in out


def test_json(good, check):
    (good / "net.prototxt").write_text(NET.replace("pool: MAX", "pool: MOST"))
    status, out, _ = check("net.prototxt", "--json")
    printed = json.loads(out)
    assert status == 1
    assert printed["findings"] == [
        {
            "file": "net.prototxt",
            "line": 26,
            "layer": "pool",
            "level": "error",
            "message": "field 'pool' in pooling_param is MOST",
            "remedy": "Allowed: MAX, AVE, STOCHASTIC",
        }
    ]
    assert printed["summary"].endswith(": 1 error in 1 net (TRAIN, TEST), 9 layers, 2 sources")
    assert printed["skipped"] == ["shapes of nets with errors"]
    assert (printed["records_read"], printed["records"]) == (4, 20)


def test_all_data(good, check):
    (good / "7.png").write_bytes(b"no image")
    assert check("net.prototxt", "--no-build")[0] == 0
    status, out, err = check("net.prototxt", "--no-build", "--all-data", "--json")
    printed = json.loads(out)
    assert (status, err) == (1, "")
    assert [finding["layer"] for finding in printed["findings"]] == ["train_data", "test_data"]
    assert (printed["records_read"], printed["records"]) == (20, 20)
    assert printed["summary"].startswith("not checked: shapes (--no-build); all 20 records read: 2 errors in")


_INTERRUPTED = """
import os, signal
def at_the_eighth(image, rng, seen=[]):
    seen.append(image)
    if len(seen) == 8:
        os.kill(os.getpid(), signal.SIGINT)
    return image
"""


def test_ctrl_c_while_all_data_are_read(good, check, monkeypatch):
    (good / "interrupting.py").write_text(_INTERRUPTED)
    monkeypatch.syspath_prepend(good)
    transform = "'transform': 'interrupting:at_the_eighth', "
    (good / "net.prototxt").write_text(NET.replace("'shuffle'", f"{transform}'shuffle'"))
    assert check("net.prototxt", "--all-data") == (130, "", "\ncaffe-pylayers: interrupted\n")


def test_progress_is_shown_where_reading_takes_long(good, check, monkeypatch):
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 150, 0, 0))
    (good / "slow.py").write_text("import time\ndef slow(image, rng):\n    time.sleep(0.15)\n    return image\n")
    monkeypatch.syspath_prepend(good)
    (good / "net.prototxt").write_text(NET.replace("'shuffle'", "'transform': 'slow:slow', 'shuffle'"))
    with open(child, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        assert check("net.prototxt", "--all-data")[0] == 0
    shown = os.read(parent, 1 << 16).decode()
    os.close(parent)
    assert re.search(r"reading train_data: +[0-9]+%", shown)
    assert "reading test_data" not in shown


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["nowhere.prototxt"], "nowhere.prototxt: cannot read it: No such file or directory"),
        (["."], ".: cannot read it: it is not a file but a folder"),
        (
            ["net.prototxt", "--weights", "none.caffemodel"],
            "none.caffemodel: cannot read it: No such file or directory",
        ),
        (["net.prototxt", "--weights", "0.png"], "0.png: it has no layers; is it a .caffemodel?"),
        ([], "Missing argument 'NET_OR_SOLVER...'"),
        (["net.prototxt", "--nodata"], "No such option"),
        (["net.prototxt", "--no-data", "--all-data"], "--no-data and --all-data are both given: leave one out"),
    ],
)
def test_what_cannot_be_checked_is_status_2_and_one_line(arguments, says, check):
    status, out, err = check(*arguments)
    assert (status, out) == (2, "")
    assert says in err
    assert err.count("\n") == 1


def test_an_old_net_is_upgraded_in_memory(good, check):
    (good / "old.prototxt").write_text("""
layers { name: "data"  type: DUMMY_DATA  top: "data"  top: "label"
  dummy_data_param { shape { dim: 4  dim: 3 }  shape { dim: 4 } } }
layers { name: "ip"  type: INNER_PRODUCT  bottom: "data"  top: "ip"  blobs_lr: 1  blobs_lr: 2
  inner_product_param { num_output: 2 } }
layers { name: "loss"  type: SOFTMAX_LOSS  bottom: "ip"  bottom: "label" }
""")
    status, out, _ = check("old.prototxt")
    assert status == 0
    assert out.splitlines() == [
        "old.prototxt:2: note: a net of an older Caffe (layers { type: NAME }), checked as Caffe upgrades it",
        "    `upgrade_net_proto_text old.prototxt NEW.prototxt` writes it in today's form",
        "nothing wrong in 1 net (TRAIN, TEST), 3 layers",
    ]
    (good / "old.prototxt").write_text((good / "old.prototxt").read_text().replace('bottom: "ip"', 'bottom: "ipp"'))
    status, out, _ = check("old.prototxt")
    assert status == 1
    assert "old.prototxt:6: error: layer 'loss': unknown bottom blob 'ipp'\n    did you mean 'ip'?" in out


def test_a_net_of_stages_asks_for_one(good, check):
    (good / "net.prototxt").write_text(
        'layer { name: "d"  type: "DummyData"  top: "d"  include { stage: "big" }  dummy_data_param { shape { dim: 1 } } }\n'
    )
    status, out, _ = check("net.prototxt")
    assert status == 0
    assert (
        "net.prototxt:1: warning: its TRAIN and TEST nets have no layer without bottoms\n    name one of its stages with --stage: 'big'"
        in out
    )
    assert (
        check("net.prototxt", "--stage", "big")[1]
        == "nothing wrong in 1 net (TRAIN stage 'big', TEST stage 'big'), 1 layer\n"
    )


def test_letters_of_another_encoding_are_printed(good, check):
    (good / "net.prototxt").write_bytes(
        b'layer { name: "caf\xe9"  type: "ReLU"  bottom: "x"  top: "x" }\nlayer { name: "d"  type: "DummyData" }'
    )
    status, out, err = check("net.prototxt", "--no-build")
    assert (status, err) == (1, "")
    assert "unknown bottom blob 'x'" in out


_OWN = """
layer { name: "own"  type: "Python"  top: "own"  python_param { module: "harmful"  layer: "Layer" } }
layer { name: "data"  type: "Python"  top: "data"  python_param { module: "caffe_pylayers"  layer: "ImageDataLayer"
  param_str: "{'source': 'train.csv', %s}" } }
"""


@pytest.mark.parametrize("option", ["'transform': 'harmful:f'", "'sampler': 'harmful:f'", "'source_type': 'harmful:f'"])
def test_no_build_runs_no_code_of_the_users(option, good, check, monkeypatch):
    """Nor does it where data are read: modules of the working directory may be anybody's."""
    monkeypatch.syspath_prepend(str(good))
    (good / "harmful.py").write_text("import pathlib; pathlib.Path('it_ran').touch()\nraise SystemExit\n")
    (good / "net.prototxt").write_text(_OWN % option)
    for options in (["--no-build"], ["--no-build", "--no-data"]):
        status, out, _ = check("net.prototxt", *options)
        assert "what needs code of these modules: harmful (--no-build)" in out
        assert (status, (good / "it_ran").exists()) == (0, False)
    check("net.prototxt", "--no-data")
    assert (good / "it_ran").exists()
