"""Results as a table for people."""


def table(facts, results):
    machine = ", ".join(f"{name} {value}" for name, value in facts.items())
    lines = [f"machine: {machine}", ""]
    width = max(len(result["row"]) for result in results)
    for result in results:
        parts = [f"{title} {values(result[title])}" for title in result if title not in ("row", "spread", "faults")]
        lines.append(f"{result['row']:<{width}}  " + "; ".join(parts))
    return "\n".join(lines)


def values(found):
    if isinstance(found, dict):
        return ", ".join(f"{name} {value}" for name, value in found.items()) or "none"
    return str(found)
