"""Results as a table: for people at a terminal, and for docs/performance.md."""

import goals

BEGIN, END = "<!-- measured -->", "<!-- /measured -->"


def text(results):
    lines = [f"machine: {', '.join(f'{name} {value}' for name, value in results['machine'].items())}"]
    for place in results["places"]:
        lines += ["", f"== {place['name']}"]
        width = max(len(row["row"]) for row in place["rows"])
        for row in place["rows"]:
            parts = [f"{title} {values(row[title])}" for title in row if title not in ("row", "spread", "faults")]
            lines.append(f"{row['row']:<{width}}  " + "; ".join(parts))
    return "\n".join(lines)


def values(found):
    if isinstance(found, dict):
        return ", ".join(f"{name} {value}" for name, value in found.items()) or "none"
    return str(found)


def document(path, results):
    """Puts the tables between the marks of a document."""
    old = path.read_text()
    before, rest = old.split(BEGIN, 1)
    _, after = rest.split(END, 1)
    path.write_text(before + BEGIN + "\n\n" + markdown(results) + "\n" + END + after)


def markdown(results):
    machine = results["machine"]
    lines = [
        f"Measured on {machine['date']}: {machine['cores']} cores ({machine['processor']}), {machine['memory']}, Linux {machine['kernel']}, "
        f"git {machine['git']}, {machine['build']}; load before it began {machine['load']}. " + (
            f"Not there to be compared with: {', '.join(machine['missing'])}." if machine["missing"] else "Every peer was there."),
        "",
    ]
    lines += goals.table(results)
    for place in results["places"]:
        lines += ["", f"### Everything that was measured: {place['name']}", "",
                  "| row | ours | ratio | spread | counts |", "| --- | --- | --- | --- | --- |"]
        lines += [detail(row) for row in place["rows"]]
    return "\n".join(lines) + "\n"


def detail(row):
    """One row; whatever is compared, under its name."""
    shown = {"ms": " ms", "per second": "/s", "kB": " kB", "proportional kB": " kB proportional", "exponent": "", "longest ms": " ms the longest"}
    ours = "; ".join(f"{values(row[key])}{unit}" if key != "exponent" else f"exponent {row[key]}" for key, unit in shown.items() if key in row)
    counted = {**row.get("counts", {}), **row.get("programs", {})}
    for key, name in (("faults", "page faults"), ("peak kB", "peak kB")):
        if "ours" in row.get(key, {}):
            counted[name] = row[key]["ours"]
    counted.update({key: row[key] for key in ("lost", "failed", "threads") if key in row})
    spread = row.get("spread", {}).get("ours", "")
    return f"| {row['row']} | {ours} | {values(row.get('ratio', {})) if row.get('ratio') else ''} | {spread} | {'; '.join(f'{name} {values(value)}' for name, value in counted.items())} |"
