"""What supervisors cost that wait: one pair, whatever their engine prints, and a crowd of them."""

import collections
import concurrent.futures
import contextlib
import fcntl
import json
import os
import pathlib
import re
import time

from measure import sh
from project import ACTOR

ROLES = ("warden", "shim")
# A caller without secrets: what hides them in the output has its price, too.
BARE = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
# Seconds in which an engine is quiet, so that both supervisors have become themselves anew before it prints.
QUIET = 1


def waiting(bench):
    """private dirty memory and threads of a warden and a shim that wait, and after logs of 10 and of 200 MB"""
    project, gate = bench.project(), bench.place() / "gate"
    with held(gate):
        for megabytes in (0, 10, 200):
            name = f"prints-{megabytes}"
            output = f"sleep {QUIET}; head -c {megabytes << 20} /dev/zero | tr '\\0' x | fold -w 200; " if megabytes else ""
            project.worker(name, command=f"{output}exec flock -s {gate} true", timeout_minutes=60)
        project.commit()
        for megabytes in (0, 10, 200):
            task = project.create()
            begin_run(project, f"prints-{megabytes}", task)
            pids = settled(project, 1, megabytes << 20)
            kilobytes = {role: private(pid) for role, pid in zip(ROLES, pids)}
            row = {"row": f"waiting supervisors, log of {megabytes} MB", "kB": {**kilobytes, "together": sum(kilobytes.values())}}
            row["threads"] = {role: number(f"/proc/{pid}/status", "Threads") for role, pid in zip(ROLES, pids)}
            yield row
            project.run("worker", "stop", task)
            drain(project)


def crowd(bench):
    """a thousand supervised sleepers at once: their memory, and whether each ends with its event and leaves nothing"""
    project, gate, sleepers = bench.project(), bench.place() / "gate", 1000
    project.multiply(sleepers)
    project.worker("waiter", command=["flock", "-s", str(gate), "true"], timeout_minutes=60)
    project.commit()
    before = number("/proc/meminfo", "MemAvailable")
    with held(gate):
        begin = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda n: begin_run(project, "waiter", f"B-{n + 1}"), range(sleepers)))
        started = time.monotonic() - begin
        pids = settled(project, sleepers, 0)
        written, threads = [private(pid) for pid in pids], {number(f"/proc/{pid}/status", "Threads") for pid in pids}
        used = before - number("/proc/meminfo", "MemAvailable")
    begin = time.monotonic()
    drain(project)
    ended = time.monotonic() - begin
    lines = [line for log in (project.root / ".lattice/events").glob("task_*.jsonl") for line in log.read_text().splitlines()]
    kinds = collections.Counter(json.loads(line)["type"] for line in lines)
    yield {
        "row": f"{sleepers} supervised sleepers",
        "seconds": {"to start": round(started, 1), "to end": round(ended, 1)},
        "kB each": {"both supervisors": round(sum(written) / sleepers), "engine and kernel too": round(used / sleepers)},
        "threads": max(threads),
        "events": {kind: kinds[kind] for kind in ("process_started", "process_completed", "process_failed")},
        "left": len(list((project.root / ".lattice/runs").glob("ev_*"))),
    }


def begin_run(project, worker, task):
    sh(project.lattice, "worker", "run", worker, task, *ACTOR, cwd=project.root, env=BARE)


@contextlib.contextmanager
def held(gate):
    """Whoever wants to share this lock waits."""
    with open(gate, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def settled(project, runs, printed):
    """The supervisors of so many runs, in the order of `ROLES`, when all wait and their logs are so long."""
    while True:
        directories = [run for run in (project.root / ".lattice/runs").glob("ev_*") if (run / "engine.json").exists()]
        logs = [project.root / f".lattice/logs/workers/{run.name}.log" for run in directories]
        if len(directories) == runs and sum(log.stat().st_size for log in logs) >= printed * runs:
            found = [json.loads((run / "supervisor.json").read_text()) for run in directories]
            pids = [run[role]["pid"] for run in found for role in ROLES]
            if all(waits(pid) for pid in pids):
                return pids
        time.sleep(0.1)


def waits(pid):
    """It has become itself anew."""
    return b"\0waits\0" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()


def drain(project):
    """Until no supervisor of the project is left."""
    while not project.ended():
        time.sleep(0.02)


def private(pid):
    """Kilobytes that are private and dirty. A page of the program's own file that is on no disk, as in a tmpfs, counts
    as dirty too (proc_pid_smaps(5)), but none that the process has written: those are anonymous."""
    rollup = f"/proc/{pid}/smaps_rollup"
    return min(number(rollup, "Private_Dirty"), number(rollup, "Anonymous"))


def number(path, name):
    return int(re.search(rf"^{name}:\s+(\d+)", pathlib.Path(path).read_text(), re.M)[1])
