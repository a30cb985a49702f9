"""The pages of docs/tasks are run as they stand, in an empty folder, and print what they say."""

import re

import pytest

from docs import drawings
from tests.pages import ROOT, run_all


@pytest.mark.parametrize("name", drawings.TASKS)
def test_a_task(name, tmp_path, programs):
    """From files to a trained net: what each block prints, and its picture."""
    page = f"docs/tasks/{name}.md"
    run_all(page, tmp_path, programs)
    assert (tmp_path / drawings.TASKS[name]).exists()
    assert re.findall(r"!\[.*\]\((.*)\)", (ROOT / page).read_text()) == [f"../images/{drawings.of_task(name).name}"]


def test_moving_from_forks(tmp_path, programs):
    """The nets of forks, before and after; nothing is fed, so there is no picture."""
    run_all("docs/tasks/moving.md", tmp_path, programs)


def test_a_net_moves_out(tmp_path, programs):
    """From a trained net to other programs: what each block prints."""
    run_all("docs/tasks/deploying.md", tmp_path, programs)


def test_every_task_has_a_page_that_is_run_and_found():
    pages = {page.stem for page in ROOT.glob("docs/tasks/*.md")}
    assert pages == {*drawings.TASKS, "moving", "deploying"}
    assert all(f"(docs/tasks/{name}.md)" in (ROOT / "README.md").read_text() for name in pages)
