"""Rows about many: many processes, many runs, many tasks."""

import json
import os
import time

from measure import interleave, middle, sh
from peers import Pueue
from project import ACTOR

AT_ONCE = 16


def swarm(bench, times, words, cwd, processes=AT_ONCE, env=None):
    """Commands a second, the longest one in ms, how many failed."""
    out = sh(bench.tools / "swarm", processes, times, *words, cwd=cwd, env=env)
    wall, failed, longest = map(int, out.split())
    return processes * times / wall * 1e9, longest / 1e6, failed


def contention(bench):
    """events per second, 16 processes at once; and whether anything was lost"""
    for tasks in (1, AT_ONCE):
        project, place = bench.project(), bench.place()
        for number in range(AT_ONCE):
            project.create()
            (place / str(number + 1)).mkdir()
        which, where = ("1", f"{place}/1") if tasks == 1 else ("%", f"{place}/%")
        each = max(4, bench.rounds // 4)
        comment = ["comment", f"B-{which}", "a comment of a usual length", *ACTOR]
        contenders = {
            "ours": lambda: swarm(bench, each, [bench.lattice, *comment], project.root),
            "floor": lambda: swarm(bench, each, [bench.floor, "event", where], place),
            "floor in one process each": lambda: swarm(bench, 1, [bench.floor, "events", where, each * 4], place),
        }
        rates = {name: [] for name in contenders}
        longest, failed = 0, 0
        for _ in range(3):
            for name, measure in contenders.items():
                rate, worst, wrong = measure()
                rates[name].append(rate * (each * 4 if name.startswith("floor in") else 1))
                if name == "ours":
                    longest, failed = max(longest, worst), failed + wrong
        # What is lost or wrong is lost or wrong in any of the rounds.
        found = [json.loads(project.run("show", f"B-{n + 1}", "--json"))["data"]["comment_count"] for n in range(AT_ONCE)]
        row = {
            "row": f"events a second, 16 processes on {tasks} task{'s' if tasks > 1 else ''}",
            "per second": {name: round(sorted(found)[1]) for name, found in rates.items()},
            "spread": {name: round((max(found) - min(found)) / sorted(found)[1], 2) for name, found in rates.items()},
            "longest ms": round(longest, 1),
            "lost": 3 * AT_ONCE * each - failed - sum(found),
            "failed": failed,
            "doctor": json.loads(project.run("doctor", "--json", check=False))["data"]["summary"],
        }
        if tool := bench.peers.get("lattice-tracker"):
            row["per second"]["lattice-tracker"] = round(swarm(bench, 2, [tool, *comment], project.root)[0], 1)
        row["ratio"] = shares(row["per second"])
        yield row


def shares(rates):
    return {name: round(rates["ours"] / rate, 2) for name, rate in rates.items() if name != "ours" and rate}


def throughput(bench):
    """supervised runs of `true` a second, 16 starters"""
    project, place = bench.project(), bench.place()
    each = max(2, bench.rounds // 5)
    runs = AT_ONCE * each
    for _ in range(2 * runs):
        project.create()
    contenders = {"ours": lambda: supervised(bench, project, each), "floor": lambda: launched(bench, place, each)}
    if tool := bench.peers.get("tsp"):
        contenders["task-spooler"] = lambda tool=tool: spooled(bench, tool, place, each)
    if tool := bench.peers.get("pueue"):
        contenders["pueue"] = lambda tool=tool: queued(bench, tool, place)
    rates = {name: [] for name in contenders}
    for number in range(2):
        bench.first = number * runs
        for name, measure in contenders.items():
            rates[name].append(measure())
    row = {"row": "supervised runs a second", "per second": {name: round(max(found)) for name, found in rates.items()}}
    row["spread"] = {name: round((max(found) - min(found)) / max(found), 2) for name, found in rates.items()}
    row["ratio"] = shares(row["per second"])
    yield row


def supervised(bench, project, each):
    """Until the last supervisor is gone. Each run is of a task of its own."""
    offset = project.root / f"from-{bench.first}"
    offset.write_text(f'#!/bin/sh\nexec {bench.lattice} worker run true "B-$(($1 + {bench.first}))" --actor human:bench\n')
    offset.chmod(0o755)
    begin = time.monotonic()
    _, _, failed = swarm(bench, each, [offset, "@"] if bench.first else [bench.lattice, "worker", "run", "true", "B-@", *ACTOR], project.root)
    while any((project.root / ".lattice/runs").glob("ev_*")):
        time.sleep(0.005)
    return (AT_ONCE * each - failed) / (time.monotonic() - begin)


def launched(bench, place, each):
    """Until the last line is in its log: two for each run."""
    logs = []
    for number in range(AT_ONCE):
        directory = place / f"{bench.first}-{number + 1}"
        directory.mkdir()
        logs.append(directory / "log")
    begin = time.monotonic()
    swarm(bench, each, [bench.floor, "launch", f"{place}/{bench.first}-%"], place)
    while any(log.stat().st_size < 600 * each for log in logs):
        time.sleep(0.005)
    return AT_ONCE * each / (time.monotonic() - begin)


def spooled(bench, tool, place, each):
    environment = {**os.environ, "TS_SOCKET": str(place / "socket"), "TMPDIR": str(place)}
    sh(tool, "-S", "16", env=environment)
    begin = time.monotonic()
    swarm(bench, each, [tool, "-n", "true"], place, env=environment)
    sh(tool, "-w", env=environment, check=False)
    rate = AT_ONCE * each / (time.monotonic() - begin)
    sh(tool, "-K", env=environment)
    return rate


def queued(bench, tool, place):
    directory = place / f"pueue-{bench.first}"
    directory.mkdir()
    pueue = Pueue(tool, directory)
    try:
        begin = time.monotonic()
        swarm(bench, 4, pueue.words("add", "--", "true"), place)
        sh(*pueue.words("wait", "--quiet"), check=False)
        return AT_ONCE * 4 / (time.monotonic() - begin)
    finally:
        pueue.stop()


def peaks(bench):
    """what doctor and rebuild need of memory for few tasks and for many"""
    found = {}
    sizes = (500, 8_000) if bench.scales[-1] < 100_000 else (1_000, 100_000)
    for tasks in sizes:
        project = bench.project()
        project.multiply(tasks)
        for words in (["doctor"], ["rebuild", "--all"]):
            samples = interleave(bench.stopwatch, {"ours": ([bench.lattice, *words], project.root)}, 1, 3)["ours"]
            found.setdefault(words[0], {})[str(tasks)] = int(middle(samples, "peak"))
    for name, peak in found.items():
        few, many = peak.values()
        yield {"row": f"peak of memory, {name}", "kB": peak, "more": many - few}


def scale(bench):
    """the commands that look at all tasks"""
    for tasks in bench.scales:
        project = bench.project()
        project.multiply(tasks)
        snapshots, logs = project.root / ".lattice/tasks", project.root / ".lattice/events"
        threads = str(os.cpu_count())
        for words, floor in (
            (["list"], ("typed", snapshots)), (["worker", "ps"], ("typed", snapshots)), (["next"], ("typed", snapshots)),
            (["show", f"B-{tasks // 2}"], None), (["doctor"], ("values", logs)), (["rebuild", "--all"], ("values", logs)),
        ):
            least = [bench.parse_floor, *floor, threads] if floor else [bench.floor, "nothing"]
            goal = f"{' '.join(words[:2])} at {tasks} tasks" if words[0] != "show" else f"show at {tasks} tasks"
            ours = ([bench.lattice, *words], project.root)
            yield bench.compare(goal, ours, (least, project.root), rounds=5, slow=peer(bench, words, tasks, project), counted=ours[0])


def peer(bench, words, tasks, project):
    """What takes the other tool minutes is not measured; it has no workers."""
    tool = bench.peers.get("lattice-tracker")
    slow = {"doctor": 10_000, "rebuild": 1_000}.get(words[0], 100_000)
    return {"lattice-tracker": ([tool, *words], project.root)} if tool and words[0] != "worker" and tasks <= slow else {}
