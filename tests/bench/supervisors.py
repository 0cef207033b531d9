"""Other supervisors, each around one process that sleeps."""

import contextlib
import os
import pathlib
import signal
import subprocess
import time

SLEEP = ["sleep", "1000"]
# What conmon calls a container: a process whose number is written down.
RUNTIME = """#!/bin/sh
while [ $# -gt 0 ]; do
    [ "$1" = --pid-file ] && file=$2
    shift
done
[ -z "$file" ] && exit 0
sleep 1000 >/dev/null 2>&1 </dev/null &
echo $! >"$file"
"""


@contextlib.contextmanager
def running(name, tool, place, count):
    """`count` of them; gives their process numbers."""
    started = [start(name, tool, place, number) for number in range(count)]
    time.sleep(0.5)
    try:
        yield [pid for pid, _ in started]
    finally:
        for pid, child in started:
            # The supervisor first: some start their child again.
            below = children(pid)
            for number in [pid, *below]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(number, signal.SIGKILL)
            if child:
                child.wait()


def children(pid):
    return [int(word) for word in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def start(name, tool, place, number):
    directory = place / f"{name}.{number}"
    directory.mkdir()
    if name == "conmon":
        return conmon(tool, directory)
    script = directory / "run"
    script.write_text("#!/bin/sh\nexec sleep 1000\n")
    script.chmod(0o755)
    words = {"tini": ["-s", "--", *SLEEP], "dumb-init": ["--", *SLEEP], "runsv": [directory], "s6-supervise": [directory]}[name]
    child = subprocess.Popen([tool, *words], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return child.pid, child


def conmon(tool, directory):
    runtime, pid = directory / "runtime", directory / "conmon.pid"
    runtime.write_text(RUNTIME)
    runtime.chmod(0o755)
    subprocess.run(
        [tool, "-c", directory.name, "-u", directory.name, "-n", directory.name, "-r", runtime, "-b", directory,
         "-p", directory / "container.pid", "--conmon-pidfile", pid, "-l", f"k8s-file:{directory}/log", "--full-attach"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True, timeout=20,
    )
    return int(pid.read_text()), None
