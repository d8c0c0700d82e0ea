"""Sends a service check with Datadog's own client for each line of JSON on standard input.

usage: datadog_service_check.py <PORT|SOCKET>
"""

import json
import sys

from datadog.dogstatsd import DogStatsd

agent = sys.argv[1]
client = DogStatsd(
    **{"host": "127.0.0.1", "port": int(agent)} if agent.isdigit() else {"socket_path": agent},
    disable_telemetry=True,
    disable_buffering=True,
    origin_detection_enabled=False,
)
for line in sys.stdin:
    client.service_check(**json.loads(line))
