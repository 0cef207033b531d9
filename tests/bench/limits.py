"""What must not grow unnoticed. Counts only: they are the same on a loaded machine, a shared one, and an old one."""

# Row, where in it, the most that it may be, and why that many.
LIMITS = (
    ("CLI start", ("counts", "syncs"), 0, "it writes nothing"),
    ("one event", ("counts", "syncs"), 3, "the line, the new snapshot, the directory that names it"),
    ("one event", ("counts", "calls"), 115, "95 when this was written"),
    ("create: counts", ("counts", "syncs"), 7, "index, log and snapshot, each with its directory; the life-cycle copy"),
    ("archive: counts", ("counts", "syncs"), 10, "log and snapshot copied and removed, with six directories; the line and its copy"),
    ("worker run returns, in place", ("programs", "git"), 0, "a file says what HEAD is"),
    ("worker run returns, in place", ("counts", "syncs"), 6, "what the run is, its directory and the one above; the three of its event"),
    ("supervisor memory", ("threads", "warden"), 1, "no thread in a supervisor"),
    ("supervisor memory", ("threads", "shim"), 1, "no thread in a supervisor"),
    ("supervisor memory", ("kB", "together"), 136, "100 when this was written: private and dirty; a static build"),
    ("supervisor memory after a log of 64 MB", ("kB", "together"), 136, "whatever the engine prints"),
    ("waiting supervisors, log of 0 MB", ("kB", "together"), 120, "80 to 84 when this was written; a stack may begin anywhere in its page"),
    ("waiting supervisors, log of 10 MB", ("kB", "together"), 120, "whatever the engine prints"),
    ("waiting supervisors, log of 200 MB", ("kB", "together"), 120, "and however much"),
    ("waiting supervisors, log of 200 MB", ("threads", "warden"), 1, "no thread in a supervisor"),
    ("waiting supervisors, log of 200 MB", ("threads", "shim"), 1, "no thread in a supervisor"),
    ("events a second, 16 processes on 1 task", ("lost",), 0, "every comment is counted"),
    ("events a second, 16 processes on 1 task", ("failed",), 0, "nobody waits for 8 s"),
    ("events a second, 16 processes on 1 task", ("doctor", "warnings"), 0, "the snapshot is what the log says"),
    ("events a second, 16 processes on 16 tasks", ("lost",), 0, "every comment is counted"),
    ("peak of memory, doctor", ("more",), 1024, "kB; it does not grow with the number of tasks"),
    ("peak of memory, rebuild", ("more",), 1024, "kB; it does not grow with the number of tasks"),
    ("size of the binaries", ("kB", "lattice-shim"), 3072, "2,189 when this was written; a quarter more with glibc"),
)


def broken(results):
    return list(above(results))


def above(results):
    rows = {result["row"]: result for result in results}
    for name, keys, most, why in LIMITS:
        value = rows.get(name)
        for key in keys:
            value = value.get(key) if value else None
        if value is not None and value > most:
            yield f"{name}, {' '.join(keys)}: {value}, at most {most} ({why})"
