"""Reports a run: reads nextest's JUnit files, and writes lines for failures, the times and the list of runs."""

import collections
import datetime
import os
import subprocess
import xml.etree.ElementTree

Result = collections.namedtuple("Result", "name kind seconds failed")


def full_name(binary, test):
    """Returns `real::faults::stale::…` for a test of the suite, `health-core::…` for one in the sources of a crate."""
    return f"{binary.removeprefix('health-tests::')}::{test}"


def path(profile, workspace="."):
    """Returns the path at which nextest writes the results of a profile."""
    return f"{workspace}/target/nextest/{profile}/junit.xml"


def forget(profile, workspace="."):
    """Removes the results of an earlier run."""
    if os.path.exists(path(profile, workspace)):
        os.remove(path(profile, workspace))


def is_there(profile):
    """Returns whether there are results."""
    return os.path.exists(path(profile))


def read(profile, kind, workspace="."):
    """Returns the results of nextest as those of a kind."""
    tree = xml.etree.ElementTree.parse(path(profile, workspace))
    results = []
    for suite in tree.getroot():
        for case in suite.findall("testcase"):
            failed = case.find("failure") is not None or case.find("error") is not None
            name = full_name(suite.get("name"), case.get("name"))
            results.append(Result(name, kind, float(case.get("time")), failed))
    return results


def failures(runs, options):
    """Returns a line for each test that failed in a run: its rate, and the command that runs it again."""
    counts = collections.Counter(result.name for results in runs for result in results if result.failed)
    rate = lambda count: f"{count} of {len(runs)}  " if len(runs) > 1 else ""
    return [f"FAILED  {rate(count)}tests/run {options}{name}" for name, count in sorted(counts.items())]


def write_times(results, steps):
    """Writes tests/TIMES.md, the times of one whole run."""
    groups = collections.defaultdict(lambda: [0, 0.0])
    for result in results:
        parts = result.name.split("::")
        is_suite = parts[0] in ("virtual", "real", "measured")
        group = "::".join(parts[:2]) if is_suite else f"{parts[0]}, beside the sources"
        groups[group][0] += 1
        groups[group][1] += result.seconds
    lines = [
        "# The times of a test run\n",
        f"`tests/run --times` wrote this page on {os.cpu_count()} cores. The steps run one after the other. The tests",
        "of a step run beside each other, so the sum of their times exceeds the time of the step.\n",
        "| step | seconds |\n|---|---|",
        *(f"| {name} | {seconds:.0f} |" for name, seconds in steps),
        "\n| group | tests | sum of seconds |\n|---|---|---|",
        *(f"| `{name}` | {count} | {seconds:.0f} |" for name, (count, seconds) in sorted(groups.items())),
        "\n| slowest tests | seconds |\n|---|---|",
    ]
    slowest = sorted(results, key=lambda result: -result.seconds)[:25]
    lines += [f"| `{result.name}` | {result.seconds:.0f} |" for result in slowest]
    with open("tests/TIMES.md", "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


HEAD = """# Whole runs of the tests

`tests/run --keep` adds a line for each run, with its commit (`+` if files differed from the commit). The column *other
load* has the other load of the machine: nothing, or `tests/burn`, two endless loops at ordinary priority on two cores.

| when | commit | other load | run | tests | failed | seconds |
|---|---|---|---|---|---|---|
"""


def keep(number, results, seconds):
    """Adds a run to tests/RESULTS.md."""
    said = lambda *command: subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    changed = said("git", "status", "--porcelain", "--", ".", ":!tests/RESULTS.md", ":!tests/TIMES.md")
    commit = said("git", "rev-parse", "--short=10", "HEAD") + ("+" if changed else "")
    beside = os.environ.get("HEALTH_TESTS_BESIDE", "nothing")
    failed = ", ".join(f"`{result.name}`" for result in results if result.failed) or "none"
    when = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M")
    kept = "tests/RESULTS.md"
    is_new = not os.path.exists(kept)
    with open(kept, "a", encoding="utf-8") as file:
        if is_new:
            file.write(HEAD)
        file.write(f"| {when} | {commit} | {beside} | {number} | {len(results)} | {failed} | {seconds:.0f} |\n")
