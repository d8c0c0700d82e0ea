"""Runs Datadog's Agent with these configurations of checks, in a network of its own where nothing can be reached but its
own loopback, and prints a line of JSON for what it holds of them (those it would run, and its complaints), then one for each
service check that it sends on to Datadog, which is this program. The Agent has no Python and so none of the checks
themselves. Ends with its input.

usage: datadog_agent.py AGENT SOCKET [CHECK=CONFIGURATION ...]
"""

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
import tempfile
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
        raise OSError(ctypes.get_errno(), "no network of its own")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP))


class Datadog(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        # The Agent tries the way with what is not compressed.
        if self.path.startswith("/api/v1/check_run") and self.headers["Content-Encoding"] == "deflate":
            for service_check in json.loads(zlib.decompress(body)):
                if not service_check["check"].startswith("datadog.agent."):
                    print(json.dumps(service_check), flush=True)
        self.do_GET()

    def do_GET(self):
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


def held(configcheck):
    said = subprocess.run(configcheck, check=True, capture_output=True, text=True).stdout
    errors = re.search(r"^=== Configuration errors ===$(.*?)^=== ", said + "=== ", re.DOTALL | re.MULTILINE)
    of_checks = re.split(r"^(\w+): ", errors[1] if errors else "", flags=re.MULTILINE)[1:]
    said = subprocess.run([*configcheck, "--json"], check=True, capture_output=True, text=True).stdout
    return {
        "instances": {
            check["check_name"]: [yaml.safe_load(instance["config"]) for instance in check["instances"]]
            for check in json.loads(said) or []
        },
        "complaints": {check: complaint.strip() for check, complaint in zip(of_checks[::2], of_checks[1::2])},
    }


agent, dogstatsd, *configurations = sys.argv[1:]
leave_the_network()
datadog = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Datadog)
threading.Thread(target=datadog.serve_forever, daemon=True).start()
with tempfile.TemporaryDirectory() as folder:
    for check, configuration in (it.split("=", 1) for it in configurations):
        place = pathlib.Path(folder, "conf.d", f"{check}.d")
        place.mkdir(parents=True)
        shutil.copy(configuration, place / "conf.yaml")
    pathlib.Path(folder, "datadog.yaml").write_text(json.dumps(settings(folder, dogstatsd, datadog.server_port)))
    run = subprocess.Popen([agent, "run", "--cfgpath", folder], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        configcheck = [agent, "configcheck", "--no-color", "--cfgpath", folder]
        patience = time.monotonic() + 60
        while True:
            asked = subprocess.run(configcheck, capture_output=True, text=True)
            if asked.returncode == 0 and os.path.exists(dogstatsd):
                break
            log = pathlib.Path(folder, "log")
            if run.poll() is not None or time.monotonic() > patience:
                sys.exit(asked.stderr + (log.read_text() if log.exists() else ""))
            time.sleep(0.2)
        print(json.dumps(held(configcheck)), flush=True)
        sys.stdin.read()
    finally:
        run.terminate()
        run.wait()
