"""docs/commands.md: every command is run on the demo's data, and prints what the page says."""

import shutil
import sys

import pytest
from rich.progress import Progress

from tests import transcripts
from tests.transcripts import ROOT

sys.path.insert(0, str(ROOT / "demo"))

import databases
import fashion

PAGE = "docs/commands.md"
SECTIONS = transcripts.sections(PAGE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What `make demo` makes: the LMDBs of Fashion-MNIST, counts.txt, and the nets that are trained on them."""
    folder = tmp_path_factory.mktemp("commands")
    with Progress(disable=True) as progress:
        databases.provide_all(str(folder), fashion.fashion_mnist(), 100, progress, lambda line: None)
    for example in ("fashion_triplet", "fashion_long_tail", "fashion_mining"):
        shutil.copytree(ROOT / "prototxt_examples" / example, folder / example)
    return folder


@pytest.mark.parametrize("heading", SECTIONS)
def test_the_transcripts_of(heading, folder, programs):
    for command in SECTIONS[heading]:
        transcripts.run(command, folder, programs)


def test_every_command_has_a_section():
    from caffe_pylayers.commands.program import COMMANDS

    assert {heading.strip("`") for heading in SECTIONS} >= {*COMMANDS}
    assert all(SECTIONS[f"`{command}`"] for command in COMMANDS)
