"""Counts, with callgrind, the instructions of a health route and of a constant answer with the same bytes."""

import json
import re
import shutil
import subprocess

from benchmarks.build import program, table

COMMITTED = "tests/benchmarks/instructions.json"
FEWER, MORE = 100, 1_100
SUBJECTS = ["axum", "actix", "warp"]
TOLERATED = 1.05


def _collected(*arguments):
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", program("instructions"),
               *map(str, arguments)]
    told = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=True).stderr
    return int(re.search(r"Collected : (\d+)", told).group(1))


def _per_request(subject, route):
    return (_collected(subject, route, MORE) - _collected(subject, route, FEWER)) / (MORE - FEWER)


def _found():
    if shutil.which("valgrind") is None:
        subprocess.run(["apt-get", "install", "-y", "-qq", "valgrind"], check=True, stdout=subprocess.DEVNULL)
    found = {subject: (_per_request(subject, "health"), _per_request(subject, "constant")) for subject in SUBJECTS}
    return _per_request("core", "health"), found


def measured():
    core, found = _found()
    ratios = {subject: round(health / constant, 4) for subject, (health, constant) in found.items()}
    rows = [[subject, f"{constant:,.0f}", f"{health:,.0f}", f"{ratios[subject]:.2f}"]
            for subject, (health, constant) in found.items()]
    text = (table(["framework", "constant", "`/health`", "ratio"], rows)
            + "\n\nInstructions per request, counted by callgrind "
            f"with 10 checks, one thread and no sockets. The core takes {core:,.0f} of them.")
    return text, {COMMITTED: json.dumps({"core": round(core), **ratios}, indent=2) + "\n"}


def check():
    """Compares the instructions with the committed ratios. Returns the number of failures."""
    with open(COMMITTED) as file:
        committed = json.load(file)
    core, found = _found()
    now = {"core": core, **{subject: health / constant for subject, (health, constant) in found.items()}}
    faults = 0
    for subject, value in now.items():
        limit = committed[subject] * TOLERATED
        verdict = "ok" if value <= limit else "more than 5 % above the committed value"
        faults += value > limit
        print(f"{subject:6} {value:10.3f}  committed {committed[subject]:10.3f}  {verdict}")
    return faults
