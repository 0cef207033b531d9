"""The rows of the table: what is compared with what. Each yields results; none decides whether they are good."""

import concurrent.futures
import json
import math
import os
import pathlib
import re
import shutil
import subprocess
import time

from measure import count, interleave, memory, middle, programs, sh, spread
from project import ACTOR, Project
from waiting import crowd, waiting


class Bench:
    """What every row needs: programs, a directory to work in, how long to go on."""

    def __init__(self, binaries, floor, stopwatch, directory, rounds, peers, sizes):
        self.lattice, self.shim = binaries / "lattice", binaries / "lattice-shim"
        self.floor, self.stopwatch, self.directory = floor, stopwatch, pathlib.Path(directory)
        self.rounds, self.peers, self.sizes = rounds, peers, sizes
        self.made = 0

    def project(self, files=0):
        self.made += 1
        return Project(self.directory / f"p{self.made}", self.lattice, files)

    def place(self):
        self.made += 1
        path = self.directory / f"d{self.made}"
        path.mkdir(parents=True)
        return path

    def compare(self, goal, ours, floor=None, peers=None, cwd=None, first=1, rounds=None, counted=None):
        """`ours`, `floor` and each peer are (command, directory)."""
        contenders = {"ours": ours, **({"floor": floor} if floor else {}), **(peers or {})}
        samples = interleave(self.stopwatch, contenders, first, first + (rounds or self.rounds) - 1)
        row = {"row": goal, "ms": {}, "ratio": {}, "spread": {}}
        for name, found in samples.items():
            if not found:
                row.setdefault("note", f"{name} failed")
                continue
            row["ms"][name] = round(middle(found) / 1e6, 3)
            row["spread"][name] = round(spread(found), 2)
            row.setdefault("faults", {})[name] = int(middle(found, "faults"))
        for name, wall in row["ms"].items():
            if name != "ours" and "ours" in row["ms"]:
                row["ratio"][name] = round(row["ms"]["ours"] / wall, 3)
        if counted:
            row["counts"] = count(counted, ours[1])
        return row


def start(bench):
    """lattice --version"""
    place = bench.place()
    words = [bench.lattice, "--version"]
    peers = {"lattice-tracker": ([bench.peers["python"], "--help"], place)} if bench.peers.get("python") else {}
    yield bench.compare("CLI start", (words, place), ([bench.floor, "nothing"], place), peers, counted=words)


def event(bench):
    """one comment, start and end of the process included"""
    project, place = bench.project(), bench.place()
    task = project.create()
    words = ["comment", task, "a comment of a usual length", *ACTOR]
    peers = {}
    if bench.peers.get("python"):
        twin = bench.place()
        shutil.copytree(project.root, twin, dirs_exist_ok=True)
        peers["lattice-tracker"] = ([bench.peers["python"], *words], twin)
    ours = [bench.lattice, *words]
    yield bench.compare("one event", (ours, project.root), ([bench.floor, "event", place], place), peers, counted=ours)
    for name, more in (("create", ["create", "another", *ACTOR]), ("archive", ["archive", task, *ACTOR])):
        yield {"row": f"{name}: counts", "counts": count([bench.lattice, *more], project.root)}


def drain(project):
    """Until no supervisor of the project is left."""
    while any((project.root / ".lattice/runs").glob("ev_*")):
        time.sleep(0.02)


def run(bench):
    """worker run, until it returns; in place, and with a worktree in repositories of several sizes"""
    place = bench.place()
    for worker, files in [("true", 0)] + [("tree", size) for size in bench.sizes]:
        project = bench.project(files)
        tasks = max(10, bench.rounds // 4)
        for _ in range(tasks + 2):
            project.create()
        ours = [bench.lattice, "worker", "run", worker, "B-@", *ACTOR]
        floor = ([bench.floor, "launch", place], place)
        goal = "worker run returns, in place" if worker == "true" else f"worker run returns, worktree of {files} files"
        row = bench.compare(goal, (ours, project.root), floor, rounds=tasks)
        drain(project)
        nth = lambda number: [word.replace("@", str(number)) if isinstance(word, str) else word for word in ours]
        row["counts"] = count(nth(tasks + 1), project.root)
        drain(project)
        row["programs"] = programs(nth(tasks + 2), project.root)
        drain(project)
        yield row


def worktree(bench):
    """from the call to the first instruction of an engine in its fresh worktree, and what follows its end"""
    for files in bench.sizes:
        project, place = bench.project(files), bench.place()
        stamp = place / "stamp"
        project.worker("stamp", command=[str(bench.floor), "stamp", str(stamp)], worktree=True)
        project.worker("stamp-here", command=[str(bench.floor), "stamp", str(stamp)])
        project.commit()
        task = project.create()
        walls = {"ours": [], "here": [], "git worktree add": [], "write floor": []}
        after = {"ours": [], "here": []}
        for number in range(max(3, bench.rounds // 10)):
            for name, worker in (("ours", "stamp"), ("here", "stamp-here")):
                begin = time.monotonic_ns()
                project.run("worker", "run", worker, task, *ACTOR)
                while not stamp.exists() or not stamp.read_text().endswith("\n"):
                    time.sleep(0.0005)
                walls[name].append(int(stamp.read_text()) - begin)
                drain(project)
                after[name].append(time.monotonic_ns() - int(stamp.read_text()))
                stamp.unlink()
            walls["git worktree add"].append(timed("git", "-C", project.root, "worktree", "add", "-q", "--detach", place / f"w{number}"))
            walls["write floor"].append(timed(bench.floor, "tree", project.root / "src", place / f"t{number}")) if files else None
            sh("git", "-C", project.root, "worktree", "remove", "--force", place / f"w{number}")
            shutil.rmtree(place / f"t{number}", ignore_errors=True)
        ms = {name: round(sorted(found)[len(found) // 2] / 1e6, 1) for name, found in walls.items() if found}
        ms["ours, less a start in place"] = round(ms["ours"] - ms["here"], 1)
        yield {
            "row": f"engine starts, fresh worktree of {files} files",
            "ms": ms,
            "ratio": {"git worktree add": round(ms["ours, less a start in place"] / ms["git worktree add"], 3)},
        }
        tail = {name: round(sorted(found)[len(found) // 2] / 1e6, 1) for name, found in after.items()}
        yield {"row": f"engine start to an empty run directory, {files} files", "ms": tail}


def timed(*command):
    begin = time.monotonic_ns()
    sh(*command)
    return time.monotonic_ns() - begin


def resident(bench):
    """private dirty memory and threads of warden and shim, before and after a log of 64 MB"""
    project = bench.project()
    project.worker("loud", command="head -c 67108864 /dev/zero | tr '\\0' x | fold -w 200; sleep 1000", timeout_minutes=60)
    project.commit()
    task = project.create()
    for worker, what in (("sleeper", "supervisor memory"), ("loud", "supervisor memory after a log of 64 MB")):
        project.run("worker", "run", worker, task, *ACTOR)
        run = settled(project, worker)
        parts = {role: memory(run["identity"][role]) for role in ("warden", "shim")}
        row = {"row": what, "kB": {role: kb for role, (kb, _) in parts.items()}}
        row["kB"]["together"] = sum(kb for kb, _ in parts.values())
        row["threads"] = {role: threads for role, (_, threads) in parts.items()}
        for name, command in bench.peers.get("supervisors", {}).items():
            child = subprocess.Popen([*command, "sleep", "1000"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(0.3)
            row["kB"][name] = memory(child.pid)[0]
            child.terminate()
            child.wait()
        project.run("worker", "stop", task)
        drain(project)
        yield row
    yield {"row": "size of the binaries", "kB": {path.name: path.stat().st_size // 1024 for path in (bench.lattice, bench.shim)}}


def settled(project, worker):
    """The one open run, when its engine runs and has said all that it will say."""
    size = -1
    while True:
        directory = next((project.root / ".lattice/runs").glob("ev_*"))
        log = project.root / f".lattice/logs/workers/{directory.name}.log"
        now = log.stat().st_size if log.exists() else 0
        if (directory / "engine.json").exists() and now == size and (worker != "loud" or now > 1 << 20):
            identity = json.loads((directory / "supervisor.json").read_text())
            return {"identity": {role: identity[role]["pid"] for role in ("warden", "shim")}}
        size = now
        time.sleep(0.3)


def contention(bench):
    """events per second, 16 processes at once; and whether anything was lost"""
    for tasks in (1, 16):
        project, place = bench.project(), bench.place()
        names = [project.create() for _ in range(tasks)]
        each = max(4, bench.rounds // 5)
        begin = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            work = [(names[number % tasks], text) for number in range(16) for text in range(each)]
            list(pool.map(lambda job: project.run("comment", job[0], f"c{job[1]}", *ACTOR), work))
        ours = 16 * each / (time.monotonic() - begin)
        begin = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda _: sh(bench.floor, "event", place), range(16 * each)))
        floor = 16 * each / (time.monotonic() - begin)
        lost = 16 * each
        for task in names:
            found = json.loads(project.run("show", task, "--json"))["data"]
            lost -= found["comment_count"]
        yield {
            "row": f"events a second, 16 processes on {tasks} task{'s' if tasks > 1 else ''}",
            "per second": {"ours": round(ours), "floor": round(floor)},
            "ratio": {"floor": round(ours / floor, 2)},
            "lost": lost,
            "doctor": json.loads(project.run("doctor", "--json", check=False))["data"].get("summary", {}),
        }


def throughput(bench):
    """supervised runs of `true` a second, 16 starters"""
    project, place = bench.project(), bench.place()
    runs = max(32, bench.rounds * 3)
    for _ in range(runs):
        project.create()
    begin = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda n: project.run("worker", "run", "true", f"B-{n + 1}", *ACTOR), range(runs)))
    drain(project)
    ours = runs / (time.monotonic() - begin)
    begin = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda _: sh(bench.floor, "launch", place), range(runs)))
    floor = runs / (time.monotonic() - begin)
    row = {"row": "supervised runs a second", "per second": {"ours": round(ours), "floor": round(floor)}}
    if tsp := bench.peers.get("tsp"):
        environment = {**os.environ, "TS_SOCKET": str(place / "socket")}
        sh(tsp, "-S", "16", env=environment)
        begin = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda _: sh(tsp, "-n", "true", env=environment), range(runs)))
        sh(tsp, "-w", env=environment)
        row["per second"]["task-spooler"] = round(runs / (time.monotonic() - begin))
        sh(tsp, "-K", env=environment)
    row["ratio"] = {name: round(ours / rate, 2) for name, rate in row["per second"].items() if name != "ours"}
    yield row


def scale(bench):
    """the commands that look at all tasks"""
    for tasks in bench.scales:
        project = bench.project()
        project.multiply(tasks)
        snapshots, logs = project.root / ".lattice/tasks", project.root / ".lattice/events"
        threads = str(os.cpu_count())
        for words, files in (
            (["list"], snapshots), (["worker", "ps"], snapshots), (["next"], snapshots),
            (["show", f"B-{tasks // 2}"], None), (["doctor"], logs), (["rebuild", "--all"], logs),
        ):
            floor = ([bench.floor, "read", files, threads] if files else [bench.floor, "nothing"], project.root)
            peers = {}
            if bench.peers.get("python") and words[0] in ("list", "show", "doctor") and tasks <= 10_000:
                peers["lattice-tracker"] = ([bench.peers["python"], *words], project.root)
            ours = [bench.lattice, *words]
            row = bench.compare(f"{' '.join(words[:2])} at {tasks} tasks", (ours, project.root), floor, peers, rounds=5)
            peak = subprocess.run(["/usr/bin/time", "-f", "%M", *map(str, ours)], cwd=project.root, capture_output=True, text=True)
            row["peak kB"] = int(re.findall(r"\d+", peak.stderr)[-1]) if peak.stderr else None
            yield row


def growth(bench):
    """exponents: by which power of the size the time grows, from the two largest sizes"""
    project = bench.project()
    for what, sizes, prepare, words in (
        ("show, events of one task", (1_000, 10_000, 100_000), lambda task, size: project.lengthen(task, size), ["show"]),
        ("comment, events of one task", (1_000, 10_000, 100_000), lambda task, size: project.lengthen(task, size), ["comment"]),
    ):
        points = []
        for size in sizes:
            task = project.create()
            project.run("comment", task, "first", *ACTOR)
            prepare(task, size)
            more = ["again", *ACTOR] if words == ["comment"] else []
            samples = interleave(bench.stopwatch, {"ours": ([bench.lattice, *words, task, *more], project.root)}, 1, 5)
            points.append((size, middle(samples["ours"])))
        yield exponent(what, points)
    points = []
    for size in (100, 1000):
        for number in range(size):
            project.worker(f"w{number}", command=["true"])
        samples = interleave(bench.stopwatch, {"ours": ([bench.lattice, "worker", "list"], project.root)}, 1, 5)
        points.append((size, middle(samples["ours"])))
    yield exponent("worker list, definitions", points)


def exponent(what, points):
    (small, fast), (large, slow) = points[-2:]
    power = math.log(slow / fast) / math.log(large / small)
    return {"row": what, "ms": {str(size): round(wall / 1e6, 2) for size, wall in points}, "exponent": round(power, 2)}


ALL = {row.__name__: row for row in (start, event, run, worktree, resident, waiting, crowd, contention, throughput, scale, growth)}
