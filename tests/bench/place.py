"""Where to measure: in memory, and on a disk that waits for what is synced."""

import contextlib
import os
import pathlib
import shutil
import subprocess
import tempfile

from measure import ROOT


@contextlib.contextmanager
def directory(name):
    """`memory`, `disk`, or a directory: what it is, and a new directory in it."""
    if name == "memory":
        yield from fresh("tmpfs", "/dev/shm")
    elif name == "disk":
        yield from disk()
    else:
        yield from fresh(name, name)


def fresh(what, parent):
    path = pathlib.Path(tempfile.mkdtemp(prefix="lattice-bench.", dir=parent))
    try:
        yield what, path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def disk():
    """An ext4 of its own with a journal, in a file on the disk of this repository, where that may be mounted. A file
    system that has seen many deletions is slow to create files again, and not every one has a journal."""
    base = ROOT / "target"
    if os.geteuid() == 0 and shutil.which("mkfs.ext4"):
        with tempfile.TemporaryDirectory(prefix="lattice-bench.", dir=base) as scratch:
            image, mounted = f"{scratch}/image", f"{scratch}/mounted"
            os.mkdir(mounted)
            with open(image, "wb") as file:
                file.truncate(16 << 30)
            made = subprocess.run(["mkfs.ext4", "-q", "-F", image], capture_output=True).returncode == 0
            if made and subprocess.run(["mount", "-o", "loop", image, mounted], capture_output=True).returncode == 0:
                try:
                    yield from fresh("ext4 with a journal, on a loop device", mounted)
                finally:
                    subprocess.run(["umount", "-l", mounted], check=False)
                return
    yield from fresh("the disk of this repository", base)
