"""Examinations of the doctor, each in a process of its own with an environment of its own."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import caffe

from tests import transcripts

ROOT = Path(__file__).resolve().parents[2]
PYCAFFE = Path(caffe.__file__).resolve().parent
HEADINGS = set(re.findall("^### (.*)$", (ROOT / "docs/troubleshooting.md").read_text(), re.MULTILINE))

EXAMINE = """
import json, sys
from dataclasses import asdict
from caffe_pylayers.commands.doctor import machine
from caffe_pylayers.commands.doctor import program
from caffe_pylayers.commands.doctor import pycaffe
from caffe_pylayers.commands.doctor import python_side
print(json.dumps([asdict(finding) for finding in eval(sys.argv[1])()]))
"""


def findings(examination, python=sys.executable, cwd=None, before=None, **environment):
    """What one examination finds, as subject -> finding; the last where a subject has several."""
    done = subprocess.run(
        [str(python), "-c", EXAMINE, examination],
        cwd=cwd,
        env={**transcripts.environment(), "PYTHONDONTWRITEBYTECODE": "1", **environment},
        preexec_fn=before,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {finding["see"] for finding in found} - {""} <= HEADINGS
    assert all(finding["found"] for finding in found)
    return {finding["subject"]: finding for finding in found}


def program_itself():
    """The program that the launcher in .venv starts."""
    launcher = (Path(sys.prefix) / "bin" / "caffe").read_text()
    return Path(re.findall("^exec '(.*)' ", launcher, re.MULTILINE)[0])


def import_caffe(**arguments):
    return findings("pycaffe.import_caffe", **arguments)["import caffe"]


def broken_pycaffe(folder, *changes):
    """A copy of pycaffe, with the bytes of its _caffe.so changed."""
    shutil.copytree(PYCAFFE, folder / "caffe", ignore=shutil.ignore_patterns("__pycache__", "test", "imagenet"))
    extension = folder / "caffe" / "_caffe.so"
    content = extension.read_bytes()
    for old, new in changes:
        assert content.count(old)
        content = content.replace(old, new)
    extension.write_bytes(content)
    return extension
