"""Other tools, from the registries of this machine if it reaches them; what is not there is left out."""

import pathlib
import shutil
import subprocess
import sys

PACKAGES = ("task-spooler", "tini", "dumb-init", "s6", "runit", "conmon")
SUPERVISORS = {"tini": ["tini", "-s", "--"], "dumb-init": ["dumb-init", "--"], "catatonit": ["catatonit", "--"]}


def quietly(*command):
    try:
        return subprocess.run(command, capture_output=True, timeout=300, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def find(directory):
    if shutil.which("apt-get"):
        for package in PACKAGES:
            quietly("apt-get", "install", "-y", "-qq", "--no-install-recommends", package)
    found = {"supervisors": {name: words for name, words in SUPERVISORS.items() if shutil.which(words[0])}}
    if tsp := shutil.which("tsp"):
        found["tsp"] = tsp
    if python := newest_python():
        venv = directory / "python"
        if quietly(python, "-m", "venv", venv) and quietly(venv / "bin/pip", "install", "-q", "lattice-tracker==0.2.0"):
            found["python"] = venv / "bin/lattice"
    for name in ("python", "tsp"):
        if name not in found:
            print(f"no peer: {name} could not be had", file=sys.stderr)
    return found


def newest_python():
    """3.12 or newer, which the Python tool needs."""
    versions = sorted(pathlib.Path.home().glob(".pyenv/versions/3.1[2-9]*/bin/python3"))
    named = [shutil.which(f"python3.{minor}") for minor in (14, 13, 12)]
    return next((python for python in [*named, *reversed(versions)] if python), None)
