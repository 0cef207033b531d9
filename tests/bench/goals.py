"""What was to be reached, what was, and what is in the way of more."""

import collections

# `rows`: what it is read from, the last one there is. `read`: the number in it. `world` and `gate`: the most that it
# may be, or with `more` the least. `peer`: how many times better than which peer the gate wants to be, if it does.
Goal = collections.namedtuple("Goal", "name rows read world gate unit more peer where why", defaults=("", False, None, None, ""))


def ratio(to):
    return lambda row: row["ratio"][to]


def ms(name):
    return lambda row: row["ms"][name]


def behind_git(row):
    """The largest repository, where 10 ms are little."""
    return round((row["ms"]["ours, less a start in place"] - 10) / row["ms"]["git worktree add"], 3)


def flat(rows):
    """The largest beside the smallest."""
    walls = [row["ms"]["ours"] for row in rows]
    return round(walls[-1] / walls[0], 2)


GOALS = (
    Goal("CLI start", "CLI start", ratio("floor"), 1.3, 2.6, "x a static C program", peer=("lattice-tracker", 70),
         why="What is above the floor is page faults of a program of 7 MB and the start of Rust's runtime. What both have, glibc asking the processor, is most of it: with musl it would be a quarter, but whatever reads all tasks on every core would take half as long again."),
    Goal("one event", "one event", ratio("floor"), 1.3, 2.0, "x a static C program with the same 3 syncs", peer=("lattice-tracker", 50),
         why="In memory, where a sync costs nothing, what is left is the start of a larger program, reading the configuration and the log as JSON, and looking for the hooks; on a disk the three syncs are most of it."),
    Goal("worker run, in place", "worker run returns, in place", ratio("floor"), 1.5, 2.5, "x the same event and a detached child in C",
         why="Everything that the end will need is made and tried first, and the caller waits until a supervisor has answered, which the floor does not."),
    Goal("worker run, worktree", "worker run returns, worktree of", flat, 1.2, 1.2, "x from the smallest repository to the largest",
         why="The supervisor makes the tree behind the caller's back; what is left grows with what git and the supervisor do meanwhile on the other core."),
    Goal("engine start, fresh worktree", "engine starts, fresh worktree of", behind_git, 1.0, 1.05, "x git worktree add, and 10 ms",
         why="The tree is made by git itself, one process for the registration and one for the files, under a supervisor."),
    Goal("engine start, recycled worktree", "engine starts, recycled worktree of", ratio("git worktree add"), 0.1, 0.2, "x git worktree add",
         why="Every file is looked at, on every core, while git looks at the main checkout; where the commit is another one, git writes an index of all of them."),
    Goal("worktree removal, from the record on", "record to no run left,", lambda row: round(row["ms"]["ours"] - row["ms"]["here"], 1), 2, 5, " ms",
         why="The record is written before; what takes long after it is to unlink every file, for which nobody waits but the supervisor itself."),
    Goal("supervisor memory, warden and shim", "waiting supervisors, log of 200 MB", lambda row: row["kB"]["together"], 60, 120, " kB private and dirty",
         why="Two processes guard one run, and an empty Rust program that is linked like them with a static glibc has 52 kB already. musl dirties as many pages."),
    Goal("events a second, 16 processes on one task", "events a second, 16 processes on 1 task", ratio("floor in one process each"), 0.6, 0.4, "x of C that starts no process", True, ("lattice-tracker", 30), "disk",
         why="Each event is a process of its own, which the floor saves itself."),
    Goal("list, 10k tasks", "list at 10000 tasks", ratio("floor"), 1.3, 2.0, "x read and typed parse on all cores", peer=("lattice-tracker", 10),
         why="Two directories are listed and compared, so that a task without a snapshot is seen; every line is made of the fields as JSON."),
    Goal("list, 100k tasks", "list at 100000 tasks", ratio("floor"), 1.3, 2.0, "x the same", peer=("lattice-tracker", 10), why="As above."),
    Goal("worker ps, 10k tasks", "worker ps at 10000 tasks", ratio("floor"), 1.3, 2.0, "x the same", why="As above."),
    Goal("worker ps, 100k tasks", "worker ps at 100000 tasks", ratio("floor"), 1.3, 2.0, "x the same", why="As above."),
    Goal("show, 100k tasks", "show at 100000 tasks", ms("ours"), 2, 100, " ms", peer=("lattice-tracker", 10),
         why="The short ID is found by halving, in microseconds. But who points at a task stands only in the other tasks, and all of them are searched; `show --compact` does without."),
    Goal("doctor, 10k tasks", "doctor at 10000 tasks", ratio("floor"), 2.0, 5.0, "x read and parse of all logs on all cores", peer=("lattice-tracker", 10),
         why="Beside parsing, every state is computed anew and compared with its snapshot, and the directories are listed in which something of a task may be left."),
    Goal("rebuild, 10k tasks", "rebuild --all at 10000 tasks", ratio("floor"), 10, 20, "x the same",
         why="Every task is locked, its snapshot compared and written where it differs, and every place emptied in which something of it may be left."),
    Goal("supervised runs a second, 16 at once", "supervised runs a second", ratio("floor"), 0.7, 0.5, "x of C with the same events", True, ("pueue", 10), "disk",
         why="A run has two supervisors, a directory, a record and proofs of what was done, none of which the floor has: five programs begin instead of three, and 16 syncs stand beside six."),
)


def table(results):
    places = results["places"]
    head = ["goal", "world-class", "gate", *(place["name"] for place in places), "beside a peer", "reached"]
    lines = [line(head), line(["---"] * len(head))]
    behind = []
    for goal in GOALS:
        found = [value(goal, place["rows"]) for place in places]
        best = judged(goal, places, found)
        peer = compared(goal, places)
        lines.append(line([goal.name, limit(goal, goal.world), limit(goal, goal.gate), *map(shown, found), peer, reached(goal, best)]))
        if best is not None and not within(goal, best, goal.world):
            behind.append(f"- {goal.name}: {goal.why}")
    return [*lines, "", "Below world-class, and what is in the way:", "", *behind]


def line(cells):
    return "| " + " | ".join(cells) + " |"


def limit(goal, most):
    return f"{'≥' if goal.more else '≤'} {most}{goal.unit}"


def shown(number):
    return "" if number is None else str(number)


def value(goal, rows):
    named = [row for row in rows if row["row"] == goal.rows or row["row"].startswith(goal.rows + " ")]
    try:
        return (flat(named) if goal.read is flat else goal.read(named[-1])) if named else None
    except (KeyError, ZeroDivisionError):
        return None


def judged(goal, places, found):
    """On the disk where syncs decide, else in memory, where nothing hides what is ours."""
    known = [(place["name"], number) for place, number in zip(places, found) if number is not None]
    if not known:
        return None
    return known[-1][1] if goal.where == "disk" else known[0][1]


def compared(goal, places):
    if not goal.peer:
        return ""
    name, wanted = goal.peer
    for place in places:
        row = next((row for row in place["rows"] if row["row"] == goal.rows), None)
        if row and (to := row.get("ratio", {}).get(name)):
            times = to if goal.more else 1 / to
            return f"{times:.0f} times {name} (gate {wanted})"
    return f"{name}: not measured (gate {wanted} times)"


def within(goal, number, most):
    return number >= most if goal.more else number <= most


def reached(goal, number):
    if number is None:
        return "not measured"
    return "world-class" if within(goal, number, goal.world) else "gate" if within(goal, number, goal.gate) else "no"
