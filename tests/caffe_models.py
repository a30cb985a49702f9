"""The models that come with Caffe."""

import os
import tarfile
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "caffe_pylayers"


def folder_with_models(folder):
    """Caffe's own folder, with its `models`: that of CAFFE_ROOT, or `folder` with those of the source that `make setup` builds."""
    root = Path(os.environ.get("CAFFE_ROOT") or "nowhere")
    if (root / "models").is_dir():
        return root
    (sdist,) = CACHE.glob("sdist/*.tar.gz")
    with tarfile.open(sdist) as archive:
        for member in archive:
            _, _, name = member.name.partition("/")
            if name.startswith("models/") and name.endswith(".prototxt"):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(archive.extractfile(member).read())
    return folder
