"""By which power of the size a time grows: 0 for one that does not, 1 for one that grows as the size does."""

import math
import time

from measure import interleave, middle
from project import ACTOR


def growth(bench):
    """exponents of the time at n, 2n, 4n and 8n"""
    small = bench.growth
    yield from events(bench, [small * power for power in (1, 2, 4, 8)])
    yield from runs(bench, [small // 10 * power for power in (1, 2, 4, 8)])
    yield from archived(bench, [small // 10 * power for power in (1, 2, 4, 8)])
    yield from definitions(bench, [small // 100 * power for power in (1, 2, 4, 8)])
    yield from creations(bench, [small * power for power in (1, 2, 4, 8)])
    yield from logs(bench, [bench.largest_log >> shift for shift in (3, 2, 1, 0)])
    yield from outputs(bench, [bench.largest_output >> shift for shift in (3, 2, 1, 0)])


def exponent(what, points):
    """The slope of the line through the points, both axes logarithmic."""
    xs, ys = [math.log(size) for size, _ in points], [math.log(wall) for _, wall in points]
    x, y = sum(xs) / len(xs), sum(ys) / len(ys)
    slope = sum((a - x) * (b - y) for a, b in zip(xs, ys)) / sum((a - x) ** 2 for a in xs)
    return {"row": f"growth: {what}", "ms": {str(size): round(wall / 1e6, 2) for size, wall in points}, "exponent": round(slope, 2)}


def timed(bench, project, *words):
    samples = interleave(bench.stopwatch, {"ours": ([bench.lattice, *words], project.root)}, 1, 5)["ours"]
    if not samples:
        raise SystemExit(f"{' '.join(words)} failed")
    return middle(samples)


def over(bench, what, sizes, prepare, *commands):
    """A row for each command: (words, where in the project)."""
    points = {name: [] for name, _ in commands}
    for size in sizes:
        project = bench.project()
        task = project.create()
        prepare(project, task, size)
        for name, words in commands:
            words = [word.format(task=task) for word in words]
            points[name].append((size, timed(bench, project, *words)))
    for name, _ in commands:
        yield exponent(f"{name}, {what}", points[name])


def events(bench, sizes):
    def prepare(project, task, size):
        project.run("comment", task, "first", *ACTOR)
        project.lengthen(task, size)

    commands = (("show", ["show", "{task}", "--compact"]), ("show --full", ["show", "{task}", "--full"]),
                ("comment", ["comment", "{task}", "again", *ACTOR]), ("doctor", ["doctor"]))
    yield from over(bench, "events of one task", sizes, prepare, *commands)


def runs(bench, sizes):
    def prepare(project, task, size):
        project.run("worker", "run", "true", task, *ACTOR)
        while any((project.root / ".lattice/runs").glob("ev_*")):
            time.sleep(0.01)
        project.lengthen_runs(task, size)

    yield from over(bench, "runs of one task", sizes, prepare, ("show", ["show", "{task}", "--json"]), ("doctor", ["doctor"]))


def archived(bench, sizes):
    def prepare(project, task, size):
        project.multiply(size, archived=True)

    commands = (("list", ["list"]), ("list --include-archived", ["list", "--include-archived"]), ("worker ps", ["worker", "ps"]))
    yield from over(bench, "archived tasks", sizes, prepare, *commands)


def definitions(bench, sizes):
    def prepare(project, task, size):
        for number in range(size):
            project.worker(f"w{number}", command=["true"])

    commands = (("worker list", ["worker", "list"]), ("worker run --dry-run", ["worker", "run", "true", "{task}", "--dry-run"]))
    yield from over(bench, "definitions", sizes, prepare, *commands)


def creations(bench, sizes):
    """The file that gives short IDs has a line for each task, and both tools replace it whole."""
    commands = (("create", ["create", "another", *ACTOR]), ("comment", ["comment", "B-1", "again", *ACTOR]), ("show", ["show", "B-1", "--compact"]))
    yield from over(bench, "tasks of the project", sizes, lambda project, task, size: project.multiply(size), *commands)


def logs(bench, sizes):
    """A log with a hole in it, as one is that was cut in its middle, and text at its end."""
    def prepare(project, task, size):
        project.run("worker", "run", "true", task, *ACTOR)
        while any((project.root / ".lattice/runs").glob("ev_*")):
            time.sleep(0.01)
        log = next((project.root / ".lattice/logs/workers").glob("ev_*.log"))
        with open(log, "ab") as out:
            out.truncate(size)
            out.seek(0, 2)
            out.write(b"a line of text, as an engine writes it\n" * 25_000)

    commands = (("worker logs -n 20", ["worker", "logs", "{task}", "-n", "20"]), ("show", ["show", "{task}"]), ("worker ps --all", ["worker", "ps", "--all"]))
    yield from over(bench, "bytes of a log", sizes, prepare, *commands)


def outputs(bench, sizes):
    """From an engine's last instruction to its record: evidence, the log's tail, the end."""
    points = []
    for size in sizes:
        project, place = bench.project(), bench.place()
        stamp = place / "stamp"
        loud = f"head -c {size} /dev/zero | tr '\\0' x | fold -w 200; exec {bench.floor} stamp {stamp}"
        project.worker("loud", command=["sh", "-c", loud], timeout_minutes=60)
        project.commit()
        task = project.create()
        found = []
        for _ in range(3):
            project.run("worker", "run", "loud", task, *ACTOR)
            while any((project.root / ".lattice/runs").glob("ev_*")):
                time.sleep(0.002)
            found.append(time.monotonic_ns() - int(stamp.read_text()))
        points.append((size, sorted(found)[1]))
    yield exponent("end of a run, bytes that it has written", points)
