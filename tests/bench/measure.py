"""Running things and counting: interleaved times, system calls, memory. Knows nothing of what is compared."""

import collections
import json
import os
import pathlib
import re
import statistics
import subprocess
import tempfile

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent
Sample = collections.namedtuple("Sample", "wall cpu faults peak")


def sh(*command, cwd=None, env=None, check=True):
    done = subprocess.run([str(word) for word in command], cwd=cwd, env=env, capture_output=True, text=True)
    if check and done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def build(into):
    """The C programs beside this file; `floor` is static, because nothing starts faster."""
    into.mkdir(parents=True, exist_ok=True)
    for name, extra in (("floor", ["-static", "-lpthread"]), ("stopwatch", []), ("swarm", [])):
        sh("gcc", "-O2", "-o", into / name, HERE / f"{name}.c", *extra)


def build_parser():
    """The Rust program beside this file, with the settings of a release."""
    sh("cargo", "build", "-q", "--release", "--locked", "-p", "lattice-tests", "--bin", "parse-floor", cwd=ROOT)
    target = json.loads(sh("cargo", "metadata", "--locked", "--no-deps", "--format-version", "1", cwd=ROOT))["target_directory"]
    return pathlib.Path(target) / "release/parse-floor"


def interleave(stopwatch, commands, first, last):
    """`commands`: name to (words, directory). Name to samples; a command that fails has none."""
    environment = dict(os.environ)
    words = []
    for index, (command, directory) in enumerate(commands.values()):
        words += (["--"] if index else []) + [str(word) for word in command]
        environment[f"STOPWATCH_{index}"] = str(directory)
    done = subprocess.run(
        [str(stopwatch), str(first), str(last), *words], env=environment, stderr=subprocess.PIPE, text=True, check=True
    )
    samples = collections.defaultdict(list)
    names = list(commands)
    failed = set()
    for line in done.stderr.splitlines():
        index, wall, cpu, faults, peak, status = map(int, line.split())
        samples[names[index]].append(Sample(wall, cpu, faults, peak))
        if status:
            failed.add(names[index])
    return {name: [] if name in failed else samples[name] for name in names}


def middle(samples, field="wall"):
    return statistics.median(getattr(sample, field) for sample in samples)


def spread(samples):
    """Half of the samples lie within this share of the median."""
    walls = sorted(sample.wall for sample in samples)
    low, high = walls[len(walls) // 4], walls[(3 * len(walls)) // 4]
    return (high - low) / statistics.median(walls)


SYNCS = ("fsync", "fdatasync", "sync_file_range", "syncfs", "msync")


def count(command, cwd):
    """System calls and syncs of one process, all its threads together, by strace; and the programs that it starts."""
    trace = strace(command, cwd, "-f")
    calls = re.findall(r"^\d+ +(\w+)\(", trace, re.M)
    execs = len(re.findall(r"^\d+ +execve\(", trace, re.M)) - 1
    return {"calls": len(calls), "syncs": sum(call in SYNCS for call in calls), "execs": execs}


def count_alone(command, cwd):
    """The same for a command that leaves others behind: without them."""
    calls = re.findall(r"^(\w+)\(", strace(command, cwd), re.M)
    return {"calls": len(calls), "syncs": sum(call in SYNCS for call in calls)}


def programs(command, cwd):
    """The programs that it and its descendants start, by name."""
    trace = strace(command, cwd, "-f", "-e", "trace=execve")
    started = re.findall(r'execve\("([^"]+)".*= 0$', trace, re.M)[1:]
    return dict(collections.Counter(pathlib.Path(path).name for path in started))


def strace(command, cwd, *options):
    with tempfile.NamedTemporaryFile("r") as report:
        sh("strace", "-o", report.name, *options, *command, cwd=cwd)
        return report.read()


def memory(pid):
    """Private dirty kB, proportional kB, and threads. A page of the program's own file that is not on its disk yet, or in
    a tmpfs, counts as dirty too (proc_pid_smaps(5)), but none that the process has written: those are anonymous."""
    rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    threads = re.search(r"^Threads:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M)
    kb = lambda name: int(re.search(rf"^{name}:\s+(\d+)", rollup, re.M)[1])
    return min(kb("Private_Dirty"), kb("Anonymous")), kb("Pss"), int(threads[1])
