"""The rows of the table: what is compared with what. Each yields results; none decides whether they are good."""

import json
import pathlib
import shutil
import time

import supervisors
from growth import growth
from many import contention, peaks, scale, throughput
from measure import count, count_alone, interleave, memory, middle, programs, sh, spread
from project import ACTOR, Project
from waiting import crowd, waiting, waits


class Bench:
    """What every row needs: programs, a directory to work in, how long to go on."""

    def __init__(self, binaries, tools, parse_floor, directory, given, peers):
        self.lattice, self.shim = binaries / "lattice", binaries / "lattice-shim"
        self.tools, self.floor, self.stopwatch, self.parse_floor = tools, tools / "floor", tools / "stopwatch", parse_floor
        self.directory, self.peers = pathlib.Path(directory), peers
        self.rounds, self.sizes, self.scales = given.rounds, given.files, given.tasks
        self.growth, self.largest_log, self.largest_output = given.growth, given.log, given.output
        self.made = self.first = 0
        # As many supervisors share the pages of their program.
        self.together = 8

    def project(self, files=0):
        self.made += 1
        return Project(self.directory / f"p{self.made}", self.lattice, files)

    def place(self):
        self.made += 1
        path = self.directory / f"d{self.made}"
        path.mkdir(parents=True)
        return path

    def repeats(self, files):
        """A large worktree takes its time."""
        return max(3, self.rounds // (5 if files <= 5_000 else 25))

    def compare(self, goal, ours, floor=None, peers=None, rounds=None, counted=None, slow=None, between=None):
        """`ours`, `floor` and each peer are (command, directory); `slow` ones have their turn once. `between` waits for
        what a round has left running."""
        contenders = {"ours": ours, **({"floor": floor} if floor else {}), **(peers or {})}
        rounds = rounds or self.rounds
        samples = {name: [] for name in contenders}
        for first in range(1, rounds + 1, 1 if between else rounds):
            for name, found in interleave(self.stopwatch, contenders, first, first if between else rounds).items():
                samples[name] += found
            between() if between else None
        samples.update(interleave(self.stopwatch, slow, 1, 1) if slow else {})
        row = {"row": goal, "ms": {}, "ratio": {}, "spread": {}}
        for name, found in samples.items():
            if not found:
                row.setdefault("note", f"{name} failed")
                continue
            row["ms"][name] = round(middle(found) / 1e6, 3)
            row["spread"][name] = round(spread(found), 2)
            row.setdefault("faults", {})[name] = int(middle(found, "faults"))
            row.setdefault("peak kB", {})[name] = max(sample.peak for sample in found)
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
    peers = {"lattice-tracker": ([bench.peers["lattice-tracker"], "--help"], place)} if bench.peers.get("lattice-tracker") else {}
    yield bench.compare("CLI start", (words, place), ([bench.floor, "nothing"], place), peers, counted=words)


def event(bench):
    """one comment, start and end of the process included"""
    project, place = bench.project(), bench.place()
    task = project.create()
    words = ["comment", task, "a comment of a usual length", *ACTOR]
    peers = {}
    if tool := bench.peers.get("lattice-tracker"):
        twin = bench.place()
        shutil.copytree(project.root, twin, dirs_exist_ok=True)
        peers["lattice-tracker"] = ([tool, *words], twin)
    ours = [bench.lattice, *words]
    yield bench.compare("one event", (ours, project.root), ([bench.floor, "event", place], place), peers, counted=ours)
    for name, more in (("create", ["create", "another", *ACTOR]), ("archive", ["archive", task, *ACTOR])):
        yield {"row": f"{name}: counts", "counts": count([bench.lattice, *more], project.root)}


# The kernel frees what was unlinked a while later, of a large tree for tenths of a second: not at the cost of who comes next.
FREED_AFTER = 0.3


def drain(project):
    """Until no supervisor of the project is left, nor anything that it would free."""
    while not (project.ended() and project.freed()):
        time.sleep(0.02)
    time.sleep(FREED_AFTER)


def starters(bench):
    """Tools that start a command behind the caller's back; none of them writes down durably that it did."""
    if tool := bench.peers.get("tsp"):
        return {"task-spooler": ([tool, "-n", "true"], bench.place())}
    return {}


def run(bench):
    """worker run, until it returns; in place, and with a worktree in repositories of several sizes"""
    place = bench.place()
    for worker, files in [("true", 0)] + [("tree", size) for size in bench.sizes]:
        project = bench.project(files)
        tasks = bench.repeats(files)
        for _ in range(tasks + 2):
            project.create()
        ours = [bench.lattice, "worker", "run", worker, "B-@", *ACTOR]
        floor = ([bench.floor, "launch", place], place)
        goal = "worker run returns, in place" if worker == "true" else f"worker run returns, worktree of {files} files"
        row = bench.compare(goal, (ours, project.root), floor, starters(bench) if worker == "true" else None, rounds=tasks, between=lambda: drain(project))
        nth = lambda number: [word.replace("@", str(number)) if isinstance(word, str) else word for word in ours]
        row["counts"] = count_alone(nth(tasks + 1), project.root)
        drain(project)
        row["programs"] = programs(nth(tasks + 2), project.root)
        drain(project)
        yield row


def worktree(bench):
    """from the call to the first instruction of an engine in its worktree, fresh or recycled, and what follows its end"""
    for files in bench.sizes:
        project, place = bench.project(files), bench.place()
        stamp = place / "stamp"
        project.worker("stamp", command=[str(bench.floor), "stamp", str(stamp)], worktree=True)
        project.worker("stamp-here", command=[str(bench.floor), "stamp", str(stamp)])
        project.commit()
        task = project.create()
        log = project.root / f".lattice/events/{task}.jsonl"
        begins = {"ours": [], "recycled": [], "here": [], "git worktree add": [], "write floor": []}
        records, clears = {"ours": [], "here": []}, {"ours": [], "here": [], "git worktree remove": []}
        for number in range(bench.repeats(files)):
            for name, worker in (("ours", "stamp"), ("recycled", "stamp"), ("here", "stamp-here")):
                project.pool(1 if name == "recycled" else 0)
                if name == "recycled" and not project.pooled():
                    project.run("worker", "run", "stamp", task, *ACTOR)
                    until(project.pooled)
                    stamp.unlink()
                time.sleep(FREED_AFTER)
                ends, begin = log.read_text().count("started_event_id"), time.monotonic_ns()
                project.run("worker", "run", worker, task, *ACTOR)
                until(lambda: log.read_text().count("started_event_id") > ends)
                recorded = time.monotonic_ns()
                until(project.ended)
                ended = int(stamp.read_text())
                begins[name].append(ended - begin)
                if name in records:
                    records[name].append(recorded - ended)
                    clears[name].append(time.monotonic_ns() - recorded)
                until(project.freed)
                stamp.unlink()
            tree, copy = place / f"w{number}", place / f"t{number}"
            time.sleep(FREED_AFTER)
            begins["git worktree add"].append(timed("git", "-C", project.root, "worktree", "add", "-q", "--detach", tree))
            clears["git worktree remove"].append(timed("git", "-C", project.root, "worktree", "remove", "--force", tree))
            begins["write floor"].append(timed(bench.floor, "tree", project.root / "src", copy))
            shutil.rmtree(copy)
        ms = {name: in_ms(found) for name, found in begins.items()}
        ms["ours, less a start in place"] = round(ms["ours"] - ms["here"], 1)
        ms["recycled, less a start in place"] = round(ms["recycled"] - ms["here"], 1)
        less = lambda kind: {name: round(ms[f"{kind}, less a start in place"] / ms[name], 3) for name in ("git worktree add", "write floor")}
        yield {"row": f"engine starts, fresh worktree of {files} files", "ms": ms, "ratio": less("ours")}
        yield {"row": f"engine starts, recycled worktree of {files} files", "ms": ms, "ratio": less("recycled")}
        yield {"row": f"end of the engine to its record, {files} files", "ms": {name: in_ms(found) for name, found in records.items()}}
        yield {"row": f"record to no run left, {files} files", "ms": {name: in_ms(found) for name, found in clears.items()}}


def in_ms(times):
    return round(sorted(times)[len(times) // 2] / 1e6, 1)


def until(condition):
    while not condition():
        time.sleep(0.0003)


def timed(*command):
    begin = time.monotonic_ns()
    sh(*command)
    return time.monotonic_ns() - begin


def resident(bench):
    """private dirty and proportional memory of warden and shim, before and after a log of 64 MB, beside other supervisors"""
    project, place = bench.project(), bench.place()
    project.worker("loud", command="head -c 67108864 /dev/zero | tr '\\0' x | fold -w 200; sleep 1000", timeout_minutes=60)
    project.commit()
    for worker, what in (("sleeper", "supervisor memory"), ("loud", "supervisor memory after a log of 64 MB")):
        runs = bench.together if worker == "sleeper" else 1
        tasks = [project.create() for _ in range(runs)]
        for task in tasks:
            project.run("worker", "run", worker, task, *ACTOR)
        found = settled(project, worker, runs)
        row = {"row": what, "kB": {}, "proportional kB": {}, "threads": {}}
        for role in ("warden", "shim"):
            of_role = [memory(run[role]) for run in found]
            row["kB"][role], row["proportional kB"][role], row["threads"][role] = (mean(numbers) for numbers in zip(*of_role))
        row["kB"]["together"] = row["kB"]["warden"] + row["kB"]["shim"]
        row["proportional kB"]["together"] = row["proportional kB"]["warden"] + row["proportional kB"]["shim"]
        for name in ("tini", "dumb-init", "runsv", "s6-supervise", "conmon") if worker == "sleeper" else ():
            if tool := bench.peers.get(name):
                with supervisors.running(name, tool, place, bench.together) as pids:
                    row["kB"][name], row["proportional kB"][name], _ = (mean(numbers) for numbers in zip(*map(memory, pids)))
        for task in tasks:
            project.run("worker", "stop", task)
        drain(project)
        yield row
    yield {"row": "size of the binaries", "kB": {path.name: path.stat().st_size // 1024 for path in (bench.lattice, bench.shim)}}


def mean(numbers):
    return round(sum(numbers) / len(numbers))


def settled(project, worker, count):
    """The supervisors of the open runs, when their engines run and have said all that they will say, and they wait."""
    size = -1
    while True:
        runs = list((project.root / ".lattice/runs").glob("ev_*"))
        logs = [project.root / f".lattice/logs/workers/{run.name}.log" for run in runs]
        now = sum(log.stat().st_size for log in logs if log.exists())
        begun = [run for run in runs if (run / "engine.json").exists()]
        if len(begun) == count and now == size and (worker != "loud" or now > 1 << 20):
            identities = [json.loads((run / "supervisor.json").read_text()) for run in runs]
            found = [{role: identity[role]["pid"] for role in ("warden", "shim")} for identity in identities]
            if all(waits(pid) for pids in found for pid in pids.values()):
                return found
        size = now
        time.sleep(0.3)


ALL = {row.__name__: row for row in (start, event, run, worktree, resident, waiting, crowd, contention, throughput, peaks, scale, growth)}
