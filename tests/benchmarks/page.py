"""Writes the measurements into the page. Each part of the benchmark is between two marks."""

import datetime
import os
import platform
import subprocess

PAGE = "docs/src/performance.md"
# The headings for parts that are not on the page yet.
HEADINGS = {
    "growth": "By the number of checks",
    "routes": "Requests per second, beside constants",
    "instructions": "Instructions, beside a constant",
    "peers": "Beside others",
    "outage": "While a dependency hangs",
    "footprint": "What an adapter adds to its framework",
}


def _of(command):
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def circumstances():
    """Returns a sentence with the date, the commit, the machine and the compiler of a measurement."""
    with open("/proc/cpuinfo") as lines:
        model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")
    commit = _of(["git", "rev-parse", "--short=10", "HEAD"])
    changed = "+" if _of(["git", "status", "--porcelain", "--", "Cargo.toml",
                             "health-core", "health-axum", "health-actix", "health-warp", "tests/benchmarks"]) else ""
    return (f"Measured on {datetime.date.today()} at commit {commit}{changed} with {os.cpu_count()} cores of {model}, "
            f"Linux {platform.release().split('-')[0]}, {' '.join(_of(['rustc', '--version']).split()[:2])}.")


def write(part, text, files):
    """Writes a part into the page, and the files that the part needs."""
    for name, content in files.items():
        with open(name, "w") as file:
            file.write(content)
    with open(PAGE) as file:
        page = file.read()
    begin, end = f"<!-- {part} -->\n", f"<!-- end of {part} -->"
    if begin not in page:
        page = f"{page.rstrip()}\n\n## {HEADINGS[part]}\n\n{begin}{end}\n"
    before, rest = page.split(begin, 1)
    _, after = rest.split(end, 1)
    with open(PAGE, "w") as file:
        file.write(f"{before}{begin}\n{circumstances()}\n\n{text}\n\n{end}{after}")
