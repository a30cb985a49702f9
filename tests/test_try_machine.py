"""`scripts/try_machine.sh`: what it refuses before it makes a machine. docs/machines.md has what it saw in some."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def try_machine(*words, prefix=(), root=ROOT):
    return subprocess.run(
        [*prefix, "bash", f"{root}/scripts/try_machine.sh", *words], capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize(
    ("words", "problem", "remedy"),
    [
        ([], "no release is named", "scripts/try_machine.sh RELEASE"),
        (["sarge"], "'sarge'", "bullseye bookworm trixie"),
        (["trixie", "noble"], "'trixie' and 'noble'", "scripts/try_machine.sh RELEASE"),
        (["trixie", "--tests"], "'--tests'", "--test "),
        (["trixie", "--folder", "/not/there"], "'/not/there' is not a folder", "Name one"),
        (["trixie", "--folder"], "--folder", "Name one"),
    ],
)
def test_arguments_that_are_wrong(words, problem, remedy):
    done = try_machine(*words)
    assert done.returncode == 1
    assert done.stdout == ""
    first, rest = done.stderr.strip().split("\n", 1)
    assert first.startswith("[try_machine] ERROR: ")
    assert problem in first
    assert remedy in rest


def test_without_root():
    prefix = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.getuid() == 0 else []
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(str(ROOT / "scripts"), folder + "/scripts")
        subprocess.run(["chmod", "-R", "a+rX", folder], check=True)
        done = try_machine("trixie", prefix=prefix, root=folder)
    assert done.returncode == 1
    assert "needs root" in done.stderr
    assert "sudo scripts/try_machine.sh trixie" in done.stderr


def test_every_release_that_is_named_is_known():
    """An unknown folder is the next thing that is looked at."""
    named = try_machine("sarge").stderr.strip().split("\n")[1]
    releases = [word.rstrip(";") for word in named.split() if not word.endswith(":")]
    assert len(releases) > 3
    for release in releases:
        assert "--folder" in try_machine(release, "--folder", "/not/there").stderr
