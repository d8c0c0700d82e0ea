"""Runs Datadog's Agent with configurations of checks in an isolated network, which has only a loopback interface.
Prints a line of JSON with the configurations as the Agent has read them (the instances that it would run, and its
complaints). Then prints a line for each service check that the Agent sends. This program receives them in the place of
Datadog. The Agent has no Python, so it runs none of the checks. The program ends when its input ends. If the Agent does
not start, the program prints the reason on standard error.

The folder of the socket becomes the folder of the Agent.

usage: run_datadog_agent.py [AGENT SOCKET [CHECK=CONFIGURATION ...]]
       without an Agent it only tests whether it can create such a network, and exits with 77 if not
"""

import contextlib
import ctypes
import fcntl
import http.server
import json
import os
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib

import yaml

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
SIOCSIFFLAGS, IFF_UP = 0x8914, 1


def leave_the_network():
    flags = CLONE_NEWNET | (CLONE_NEWUSER if os.geteuid() else 0)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(flags):
        raise OSError(ctypes.get_errno(), "no network namespace can be created")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP))


def say(something):
    # One write per line, because many threads answer.
    sys.stdout.write(json.dumps(something) + "\n")
    sys.stdout.flush()


class Datadog(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        # The Agent first tests the connection with a body that is not compressed.
        if self.path.startswith("/api/v1/check_run") and self.headers["Content-Encoding"] == "deflate":
            for service_check in json.loads(zlib.decompress(body)):
                if not service_check["check"].startswith("datadog.agent."):
                    say(service_check)
        self.do_GET()

    def do_GET(self):
        # An Agent that is ending does not read answers any more.
        with contextlib.suppress(ConnectionError):
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


def loopback_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def settings(folder, dogstatsd, datadog):
    off = {"enabled": False}
    return {
        "api_key": "0" * 32,
        "dd_url": f"http://127.0.0.1:{datadog}",
        "serializer_compressor_kind": "zlib",
        "hostname": "here",
        "confd_path": f"{folder}/conf.d",
        "run_path": folder,
        "log_file": f"{folder}/log",
        "cmd_port": loopback_port(),
        "expvar_port": loopback_port(),
        "dogstatsd_port": 0,
        "dogstatsd_socket": dogstatsd,
        "cloud_provider_metadata": [],
        "enable_metadata_collection": False,
        "inventories_enabled": False,
        "remote_configuration": off,
        "agent_telemetry": off,
        "apm_config": off,
        "process_config": {"process_collection": off, "container_collection": off, "process_discovery": off},
    }


def held(agent, folder):
    def configcheck(*more):
        command = [agent, "configcheck", "--no-color", "--cfgpath", folder, *more]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout

    said = configcheck()
    errors = re.search(r"^=== Configuration errors ===$(.*?)^=== ", said + "=== ", re.DOTALL | re.MULTILINE)
    of_checks = re.split(r"^(\w+): ", errors[1] if errors else "", flags=re.MULTILINE)[1:]
    return {
        "instances": {
            check["check_name"]: [yaml.safe_load(instance["config"]) for instance in check["instances"]]
            for check in json.loads(configcheck("--json")) or []
        },
        "complaints": {check: complaint.strip() for check, complaint in zip(of_checks[::2], of_checks[1::2])},
    }


if not sys.argv[1:]:
    try:
        leave_the_network()
    except OSError:
        sys.exit(77)
    sys.exit()
leave_the_network()
agent, dogstatsd, *configurations = sys.argv[1:]
configurations = dict(it.split("=", 1) for it in configurations)
# The Agent leaves the CPU to the tests while they measure.
os.nice(10)
datadog = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Datadog)
threading.Thread(target=datadog.serve_forever, daemon=True).start()
folder = os.path.dirname(dogstatsd)
for check, configuration in configurations.items():
    place = pathlib.Path(folder, "conf.d", f"{check}.d")
    place.mkdir(parents=True)
    shutil.copy(configuration, place / "conf.yaml")
pathlib.Path(folder, "datadog.yaml").write_text(json.dumps(settings(folder, dogstatsd, datadog.server_port)))
run = subprocess.Popen([agent, "run", "--cfgpath", folder], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
try:
    patience = time.monotonic() + 180
    while True:
        try:
            # The Agent answers before it has read any configuration.
            configured = held(agent, folder)
            known = configured["instances"].keys() | configured["complaints"].keys()
            if os.path.exists(dogstatsd) and configurations.keys() <= known:
                break
            why = f"the Agent has read only the configurations of {sorted(known)}"
        except subprocess.SubprocessError as error:
            why = f"{error}: {error.stderr}"
        if run.poll() is not None or time.monotonic() > patience:
            log = pathlib.Path(folder, "log")
            sys.exit(why + "\n" + (log.read_text() if log.exists() else ""))
        time.sleep(0.5)
    say(configured)
    sys.stdin.read()
finally:
    run.terminate()
    run.wait()
