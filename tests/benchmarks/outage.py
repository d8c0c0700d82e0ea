"""Measures the 99.9th percentile of the response time of the health route and of a route of the application, while
PostgreSQL hangs and while it is healthy."""

import os
import shutil
import signal
import tempfile
import time

from benchmarks.build import free_port, load, median, program, running, table
from benchmarks.peers import Database, _asked

CONNECTIONS, MILLISECONDS, ROUNDS = 32, 1_000, 5
PATHS = ["/health", "/hello"]


def _wait_for(port, code):
    """Waits until the health route answers with a code."""
    deadline = time.monotonic() + 20
    while _asked(port)[0] != code:
        if time.monotonic() > deadline:
            raise SystemExit(f"/health is not {code} after 20 s")
        time.sleep(0.1)


def _compared(framework, database):
    port = free_port()
    server = program("requests", "server")
    found = {state: {path: [] for path in PATHS} for state in ["healthy", "hung"]}
    with running([server, framework, "10"], port, {"DATABASE_URL": database.url}):
        load(port, CONNECTIONS, 300, 1, *PATHS)
        # The states alternate, because the pauses of the machine change from second to second.
        for _ in range(ROUNDS):
            for state, number in [("healthy", signal.SIGCONT), ("hung", signal.SIGSTOP)]:
                database.signal(number)
                _wait_for(port, 200 if state == "healthy" else 503)
                for measured in load(port, CONNECTIONS, MILLISECONDS, 1, *PATHS):
                    found[state][measured["path"]].append(measured["p999_us"])
        database.signal(signal.SIGCONT)
    return found


def measured():
    folder = tempfile.mkdtemp()
    os.chmod(folder, 0o755)
    database, rows = None, []
    try:
        database = Database(folder)
        for framework in ["axum", "actix", "warp"]:
            found = _compared(framework, database)
            for path in PATHS:
                healthy, hung = (median(found[state][path]) for state in ["healthy", "hung"])
                ratio = median([one / other for one, other in zip(found["hung"][path], found["healthy"][path])])
                times = [f"{healthy / 1000:.2f} ms", f"{hung / 1000:.2f} ms"]
                rows.append([framework, f"`{path}`", *times, f"{ratio:.2f}"])
    finally:
        if database:
            database.end()
        shutil.rmtree(folder, ignore_errors=True)
    text = (table(["framework", "path", "healthy", "hung", "ratio"], rows)
            + "\n\nThe 99.9th percentile of the response time over "
            f"{CONNECTIONS} connections at full load, with a check of PostgreSQL and ten others.\n"
            f"Medians of {ROUNDS} alternating rounds. The load generator runs on the same cores.")
    return text, {}
