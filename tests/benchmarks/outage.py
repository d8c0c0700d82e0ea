"""The slowest answers of the health route and of the application's own route while PostgreSQL hangs, beside a healthy one."""

import os
import shutil
import signal
import tempfile
import time

from benchmarks.build import free_port, load, median, program, running, table
from benchmarks.peers import Database

CONNECTIONS, MILLISECONDS, ROUNDS = 32, 1_000, 9
PATHS = ["/health", "/hello"]


def _compared(framework, database):
    port = free_port()
    server = program("requests", "server")
    found = {state: {path: [] for path in PATHS} for state in ["healthy", "hung"]}
    with running([server, framework, "10"], port, {"DATABASE_URL": database.url}):
        load(port, CONNECTIONS, 300, 1, *PATHS)
        # In turn, as the machine's own pauses change from second to second.
        for _ in range(ROUNDS):
            for state, number in [("healthy", signal.SIGCONT), ("hung", signal.SIGSTOP)]:
                database.signal(number)
                time.sleep(0.5)
                for measured in load(port, CONNECTIONS, MILLISECONDS, 1, *PATHS):
                    assert measured["failed"] == 0, measured
                    found[state][measured["path"]].append(measured["p999_us"])
        database.signal(signal.SIGCONT)
    return found


def measured():
    folder = tempfile.mkdtemp()
    os.chmod(folder, 0o755)
    database = Database(folder)
    rows = []
    try:
        for framework in ["axum", "actix", "warp"]:
            found = _compared(framework, database)
            for path in PATHS:
                healthy, hung = (median(found[state][path]) for state in ["healthy", "hung"])
                ratio = median([one / other for one, other in zip(found["hung"][path], found["healthy"][path])])
                rows.append([framework, f"`{path}`", f"{healthy / 1000:.2f} ms", f"{hung / 1000:.2f} ms", f"{ratio:.2f}"])
    finally:
        database.end()
        shutil.rmtree(folder, ignore_errors=True)
    return (table(["framework", "path", "healthy", "hung", "ratio"], rows) + "\n\nThe time that one answer of a thousand exceeds, over "
            f"{CONNECTIONS} connections at full load, with a check of PostgreSQL and ten others: medians of\n{ROUNDS} rounds in turn. "
            "The generator of load runs on the same cores.")
