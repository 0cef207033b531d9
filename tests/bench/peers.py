"""Other tools, from the registries of this machine if it reaches them; what is not there is named and left out."""

import os
import pathlib
import shutil
import subprocess
import time

from measure import ROOT

PACKAGES = ("task-spooler", "tini", "dumb-init", "s6", "runit", "conmon")
PUEUE = "4.0.4"
TRACKER = "lattice-tracker==0.2.0"
# Kept from one run to the next: to build or to install one takes minutes.
KEPT = ROOT / "target/bench-peers"


def quietly(*command, seconds=900, env=None):
    try:
        return subprocess.run([str(word) for word in command], capture_output=True, timeout=seconds, check=False, env=env).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def find():
    """Name to path; and the names of those that could not be had."""
    KEPT.mkdir(parents=True, exist_ok=True)
    missing = [name for name in ("tsp", "tini", "dumb-init", "s6-supervise", "runsv", "conmon") if not shutil.which(name)]
    if missing and os.geteuid() == 0 and shutil.which("apt-get"):
        quietly("apt-get", "update", "-qq")
        quietly("apt-get", "install", "-y", "-qq", "--no-install-recommends", *PACKAGES)
    found = {name: shutil.which(name) for name in ("tsp", "tini", "dumb-init", "s6-supervise", "runsv", "conmon")}
    found["lattice-tracker"] = tracker()
    found["pueue"] = pueue()
    return {name: path for name, path in found.items() if path}, sorted(name for name, path in found.items() if not path)


def tracker():
    tool = KEPT / "python/bin/lattice"
    if not tool.exists() and (python := newest_python()):
        shutil.rmtree(KEPT / "python", ignore_errors=True)
        quietly(python, "-m", "venv", KEPT / "python")
        quietly(KEPT / "python/bin/pip", "install", "-q", TRACKER)
        quietly(KEPT / "python/bin/python", "-m", "compileall", "-q", KEPT / "python/lib")
    return tool if tool.exists() else None


def pueue():
    tool = KEPT / "cargo/bin/pueue"
    if not tool.exists() and shutil.which("cargo"):
        quietly("cargo", "install", "-q", "--locked", "--root", KEPT / "cargo", f"pueue@{PUEUE}")
    return tool if tool.exists() else None


def newest_python():
    """3.12 or newer, which the Python tool needs."""
    versions = sorted(pathlib.Path.home().glob(".pyenv/versions/3.1[2-9]*/bin/python3"))
    named = [shutil.which(f"python3.{minor}") for minor in (14, 13, 12)]
    working = (python for python in [*reversed(versions), *filter(None, named)] if quietly(python, "-c", "import venv"))
    return next(working, None)


class Pueue:
    """A daemon of its own, with 16 tasks at a time."""

    def __init__(self, tool, place):
        self.tool, self.place = tool, place
        self.config = place / "pueue.yml"
        self.config.write_text(f"shared:\n  pueue_directory: {place}\n  runtime_directory: {place}\ndaemon:\n  callback: null\n")
        self.daemon = subprocess.Popen([tool.with_name("pueued"), "-c", self.config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(100):
            if quietly(*self.words("parallel", "16")):
                return
            time.sleep(0.05)
        self.stop()
        raise OSError("pueued does not answer")

    def words(self, *words):
        return [self.tool, "-c", self.config, *words]

    def stop(self):
        self.daemon.terminate()
        self.daemon.wait()
