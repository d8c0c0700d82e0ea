"""Builds the programs of the benchmarks, and starts and ends servers by their process ids."""

import contextlib
import functools
import json
import os
import signal
import socket
import statistics
import subprocess
import time

TARGET = "target/benchmarks"


@functools.cache
def program(package, name=None):
    """Builds a program in release mode, and returns its path."""
    subprocess.run(["cargo", "build", "--quiet", "--release", "--manifest-path", "tests/benchmarks/Cargo.toml",
                    "--target-dir", TARGET, "-p", package], check=True)
    return os.path.abspath(f"{TARGET}/release/{name or package}")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def end(process):
    """Ends a program and everything that it started, which are one process group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    # Ends the processes of the group that have outlived the leader.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


@contextlib.contextmanager
def running(command, port, environment=None, directory=None):
    """Runs a server on a port. Yields its process when the server accepts connections, and ends it afterwards."""
    variables = {**os.environ, **(environment or {}), "PORT": str(port)}
    process = subprocess.Popen(command, env=variables, cwd=directory, start_new_session=True,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            if process.poll() is not None:
                raise SystemExit(f"{command[0]} ended before it listened")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.05)
        else:
            raise SystemExit(f"{command[0]} does not listen")
        yield process
    finally:
        end(process)


def resident(process):
    """Returns the resident memory of a process and its children, in bytes. A shared page counts in equal parts."""
    pids, found = [process.pid], 0
    while pids:
        pid = pids.pop()
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/smaps_rollup") as sizes:
                found += next(int(line.split()[1]) for line in sizes if line.startswith("Pss:")) * 1024
            for thread in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{thread}/children") as children:
                    pids += [int(child) for child in children.read().split()]
    return found


def load(port, connections, milliseconds, rounds, *paths):
    """Returns the results of each path in each round."""
    command = [program("requests", "load"), str(port), str(connections), str(milliseconds), str(rounds), *paths]
    lines = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    found = [json.loads(line) for line in lines]
    for it in found:
        if it["failed"]:
            raise SystemExit(f"{it['path']}: {it['failed']} answers failed")
    return found


def median(values):
    return statistics.median(values)


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows])
