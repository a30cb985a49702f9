"""The frame of the command line: help, exit status, where things are written, what is imported."""

import json
import os
import subprocess
import sys

import click
import pytest

from caffe_pylayers import __version__
from caffe_pylayers.commands.program import COMMANDS, commands
from tests import transcripts
from tests.program import PROGRAM, modules_after, run


def test_help_lists_the_commands_with_a_line_each():
    done = run("--help")
    assert done.returncode == 0
    listed = [line.split() for line in done.stdout.split("Commands:\n")[1].splitlines()]
    assert [words[0] for words in listed] == list(COMMANDS)
    assert all(len(words) > 3 for words in listed)
    assert run("--version").stdout == f"caffe-pylayers, version {__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command):
    done = run(command, "--help")
    assert done.returncode == 0
    assert f"caffe-pylayers {command} " in done.stdout.replace(f"Usage: caffe-pylayers {command} ", "")
    assert "\x1b" not in done.stdout  # no colours but on a terminal


def test_help_imports_nothing_heavy():
    loaded = modules_after(
        "from caffe_pylayers.commands.program import commands\ntry: commands(['--help'])\nexcept SystemExit: pass"
    )
    heavy = {"caffe", "numpy", "cv2", "h5py", "lmdb", "pydantic", "matplotlib", "rich", "scipy"}
    assert not loaded & heavy


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["chekc"], "caffe-pylayers: no command 'chekc'; did you mean 'check'? Commands: check, describe, "),
        (["check", "--frobnicate"], "caffe-pylayers check: No such option"),
        (["check"], "caffe-pylayers check: Missing argument"),
        (["check", "absent.prototxt"], "absent.prototxt"),
        (["train", "--solver", "s.prototxt"], "no option --solver; give the file alone, as in `caffe-pylayers train"),
        (["check", "-model=n.prototxt"], "no option --model; give the file alone, as in `caffe-pylayers check"),
        (["train", "s.prototxt", "--snapshot", "x"], "`caffe-pylayers train SOLVER --resume STATE`"),
        (["preview", "n.prototxt", "--sale"], "caffe-pylayers preview: No such option"),
        (["describe", "TripletLayer"], "TripletLayer"),
        (["convert", "absent.csv", "new_lmdb"], "absent.csv"),
        (["train", "absent.prototxt"], "absent.prototxt"),
        (["export", "absent.caffemodel"], "absent.caffemodel"),
        (["log", "absent.log"], "absent.log"),
        (["deploy", "absent.prototxt", "absent.caffemodel"], "absent.prototxt"),
        (["preview", "absent.prototxt"], "absent.prototxt"),
        (["bench", "absent.prototxt"], "absent.prototxt"),
        (["balance", "absent.csv"], "absent.csv"),
        (["evaluate", "absent.prototxt", "absent.caffemodel", "--blob", "x"], "absent.prototxt"),
    ],
)
def test_what_cannot_be_done_is_one_line_on_stderr_and_status_2(command, tmp_path, arguments, message):
    status, out, err = command(*arguments)
    assert (status, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", COMMANDS)
def test_no_option_takes_numbers_that_nothing_can_count_to(name):
    for option in commands.get_command(None, name).params:
        if isinstance(option.type, (click.types.IntParamType, click.types.FloatParamType)):
            for number in ("1" + 20 * "0", "-1" + 20 * "0", "nan"):
                with pytest.raises(click.BadParameter):
                    option.type.convert(number, option, None)


def test_a_reader_that_stops_reading_is_no_error():
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{PROGRAM} describe --json | head -n 1"],
        env=transcripts.environment(),
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert (done.returncode, done.stderr) == (0, "")


ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.parametrize("variables", [ASCII, {"PYTHONIOENCODING": "ascii"}], ids=["locale", "streams"])
def test_names_that_the_locale_has_no_letters_for(tmp_path, variables):
    (tmp_path / "größen.csv").write_text("ä.png,0\nö.png,1\n", encoding="utf-8")
    (tmp_path / "namen.txt").write_text("klein\ngroß\n", encoding="utf-8")
    done = run("balance", "größen.csv", "--classes", "namen.txt", cwd=tmp_path, **variables)
    assert done.returncode == 0, done.stderr
    assert "klein" in done.stdout
    done = run("check", "größe.prototxt", cwd=tmp_path, **variables)
    assert done.returncode == 2 and "Traceback" not in done.stderr


def test_bytes_in_names_are_shown_as_ls_does(command, tmp_path):
    (tmp_path / "list.csv").write_bytes(b"bad\xff.png,0\n")
    (tmp_path / "net.prototxt").write_text(
        'layer { name: "train_data" type: "Python" top: "data" python_param { module: "caffe_pylayers" '
        "layer: \"ImageDataLayer\" param_str: \"{'source': 'list.csv'}\" } }"
    )
    status, out, _ = command("check", "net.prototxt", "--no-build")
    assert status == 1 and "bad\\xff.png" in out and "udcff" not in out


def test_a_path_may_have_bytes_that_are_no_utf8(command, tmp_path):
    name = os.fsdecode(b"l\xe4.csv")
    (tmp_path / name).write_text("a.png,0\nb.png,1\n")
    status, out, _ = command("balance", name, "--json")
    assert status == 0 and json.loads(out)["counts"] == [1, 1]


def test_it_runs_as_a_module_too():
    done = subprocess.run([sys.executable, "-m", "caffe_pylayers", "--version"], capture_output=True, text=True)
    assert done.stdout == f"caffe-pylayers, version {__version__}\n"


class TestTranscripts:
    """The means by which docs/commands.md is kept true must be able to fail."""

    def test_commands_and_what_they_print(self):
        found = transcripts.commands("$ a \\\n  b\none\ntwo\n$ c\n")
        assert [(each.command, each.expected) for each in found] == [("a \\\n  b", "one\ntwo"), ("c", "")]

    @pytest.mark.parametrize(
        ("expected", "printed", "same"),
        [
            ("a", "a", True),
            ("a", "ab", False),
            ("took ... s", "took 1.5 s", True),
            ("a\n...\nd", "a\nb\nc\nd", True),
            ("a\n...\nd", "a\nb\nc", False),
            ("1.5", "1x5", False),
        ],
    )
    def test_dots_stand_for_anything(self, expected, printed, same):
        assert transcripts.matches(expected, printed) == same

    def test_other_output_or_another_status_is_an_error(self, tmp_path):
        transcripts.run(transcripts.Command("echo a; exit 3", "a\n[exit 3]"), tmp_path)
        with pytest.raises(AssertionError, match=r"printed now"):
            transcripts.run(transcripts.Command("echo a", "b"), tmp_path)
        with pytest.raises(AssertionError, match=r"exit 3"):
            transcripts.run(transcripts.Command("echo a; exit 3", "a"), tmp_path)
