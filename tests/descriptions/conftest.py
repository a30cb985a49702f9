import cv2
import numpy as np
import pytest


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """What the layers to copy name: a list of images in a folder, and counts of labels."""
    (tmp_path / "images").mkdir()
    for number in range(8):
        cv2.imwrite(str(tmp_path / "images" / f"{number}.png"), np.full((20, 20, 3), 30 * number, np.uint8))
        cv2.imwrite(str(tmp_path / "images" / f"map_{number}.png"), np.full((20, 20), number % 4, np.uint8))
    (tmp_path / "train.txt").write_text("".join(f"{number}.png {number % 4}\n" for number in range(8)))
    (tmp_path / "pairs.txt").write_text("".join(f"{number}.png map_{number}.png\n" for number in range(8)))
    np.savetxt(tmp_path / "counts.txt", np.arange(10) + 1)
    monkeypatch.chdir(tmp_path)
    return tmp_path
