"""Projects to measure in: made by the tool itself once, then multiplied file by file."""

import json
import pathlib
import re

from measure import sh

ACTOR = ("--actor", "human:bench")
DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class Project:
    def __init__(self, root, lattice, files=0):
        self.root, self.lattice = pathlib.Path(root), lattice
        self.root.mkdir(parents=True)
        sh("git", "init", "-q", "-b", "main", cwd=self.root)
        self.run("init", "--project-code", "B", *ACTOR)
        for number in range(files):
            path = self.root / f"src/d{number // 100}/f{number}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"file {number}\n" * 60)
        self.worker("true", command=["true"])
        self.worker("tree", command=["true"], worktree=True)
        self.worker("sleeper", command=["sleep", "1000"], timeout_minutes=60)
        self.commit()

    def run(self, *words, check=True):
        return sh(self.lattice, *words, cwd=self.root, check=check)

    def commit(self):
        sh("git", "add", "-A", cwd=self.root)
        sh("git", "-c", "user.name=b", "-c", "user.email=b@localhost", "commit", "-qm", "state", cwd=self.root)

    def worker(self, name, **keys):
        path = self.root / "workers" / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"name": name, **keys}))

    def pool(self, members):
        path = self.root / ".lattice/config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "workers": {"worktree_pool": members}}))

    def pooled(self):
        return any((self.root / ".lattice/worktrees").glob(".pool-*/facts.json"))

    def ended(self):
        return not any((self.root / ".lattice/runs").glob("ev_*"))

    def freed(self):
        """Of an ended run nothing is left but what the pool keeps."""
        left = [*(self.root / ".lattice/runs").glob(".old-*"), *(self.root / ".lattice/worktrees").glob(".trash-*")]
        return not left

    def create(self, title="a task"):
        return json.loads(self.run("create", title, "--json", *ACTOR))["data"]["id"]

    def multiply(self, tasks, comments=8, archived=False):
        """One task with ten events or so, and copies of it under other IDs, of their events too: `tasks` in all."""
        task = self.create("the first of many tasks")
        for number in range(comments):
            self.run("comment", task, f"comment {number}: some words of a usual length", *ACTOR)
        if archived:
            self.run("archive", task, *ACTOR)
        directory = self.root / ".lattice"
        place = directory / "archive" if archived else directory
        log = (place / f"events/{task}.jsonl").read_text()
        snapshot = (place / f"tasks/{task}.json").read_text()
        lines = (directory / "events/_lifecycle.jsonl").read_text().splitlines(keepends=True)
        lifecycle = "".join(line for line in lines if task in line)
        events = sorted(set(re.findall(r"ev_[0-9A-Z]{26}", log)))
        short = json.loads(snapshot)["short_id"]
        start = int(short.rpartition("-")[2])
        ids = json.loads((directory / "ids.json").read_text())
        copies = []
        for number in range(start + 1, start + tasks):
            other, name = task[:-8] + base32(number), f"B-{number}"
            pairs = [(task, other), (f'"{short}"', f'"{name}"'), *((old, old[:13] + base32(number) + old[21:]) for old in events)]
            (place / f"events/{other}.jsonl").write_text(replaced(log, pairs))
            (place / f"tasks/{other}.json").write_text(replaced(snapshot, pairs))
            copies.append(replaced(lifecycle, pairs))
            ids["map"][name] = other
        ids["next_seqs"]["B"] = start + tasks
        (directory / "ids.json").write_text(json.dumps(ids, indent=2, sort_keys=True) + "\n")
        # In the order that a rebuild gives it: one that has to be put in order is another measurement.
        lines = sorted([*lines, *"".join(copies).splitlines(keepends=True)], key=place_in_time)
        (directory / "events/_lifecycle.jsonl").write_text("".join(lines))

    def lengthen_runs(self, task, runs):
        """A log of so many runs: its last one, again and again under new IDs."""
        path = self.root / f".lattice/events/{task}.jsonl"
        *_, start, end = path.read_text().splitlines(keepends=True)
        ids = re.findall(r"ev_[0-9A-Z]{26}", start + end)
        with open(path, "a") as out:
            for number in range(runs):
                pairs = [(old, old[:13] + base32(number) + old[21:]) for old in ids]
                out.write(replaced(start, pairs) + replaced(end, pairs))
        self.run("rebuild", task)

    def lengthen(self, task, events):
        """A log of so many events: its last comment, again and again under new IDs."""
        path = self.root / f".lattice/events/{task}.jsonl"
        last = json.loads(path.read_text().splitlines()[-1])
        lines = []
        for number in range(events):
            last["id"] = last["id"][:-8] + base32(number)
            lines.append(json.dumps(last, separators=(",", ":"), sort_keys=True) + "\n")
        with open(path, "a") as out:
            out.writelines(lines)
        self.run("rebuild", task)


def place_in_time(line):
    event = json.loads(line)
    return event["ts"], event["id"]


def replaced(text, pairs):
    for old, new in pairs:
        text = text.replace(old, new)
    return text


def base32(number):
    text = ""
    for _ in range(8):
        text, number = DIGITS[number % 32] + text, number // 32
    return text
