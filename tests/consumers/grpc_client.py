"""Calls grpc.health.v1 with gRPC's own client. Reads `check NAME`, `list` and `watch NAME`, one per line, and prints
the results: `check SERVING`, `list {"": "SERVING"}`, `watch NAME NOT_SERVING`, or the code of an error.

usage: grpc_client.py ADDRESS
"""

import json
import sys
import threading

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

stub = health_pb2_grpc.HealthStub(grpc.insecure_channel(sys.argv[1]))
word = health_pb2.HealthCheckResponse.ServingStatus.Name


def say(*words):
    # One write per line, because every stream has its own thread.
    sys.stdout.write(" ".join(words) + "\n")
    sys.stdout.flush()


def watch(name):
    try:
        for answer in stub.Watch(health_pb2.HealthCheckRequest(service=name)):
            say("watch", name, word(answer.status))
        say("watch", name, "ended")
    except grpc.RpcError as error:
        say("watch", name, error.code().name)


for line in sys.stdin:
    command, _, name = line.rstrip("\n").partition(" ")
    try:
        if command == "check":
            say("check", word(stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=5).status))
        elif command == "list":
            statuses = stub.List(health_pb2.HealthListRequest(), timeout=5).statuses
            say("list", json.dumps({name: word(it.status) for name, it in statuses.items()}, sort_keys=True))
        else:
            threading.Thread(target=watch, args=(name,), daemon=True).start()
    except grpc.RpcError as error:
        say(command, error.code().name)
