"""Imitates the Datadog Agent's HTTP check with a configuration and a URL, and prints http.can_connect as the Agent
would send it.

No package contains the check itself. The parts that all checks of the Agent share are Datadog's own: the options of a
request, the request, and the data that is sent. The five options below and the verdict follow the documentation of the
check. run_datadog_agent.py tests that an Agent accepts the configuration.

usage: datadog_http_check.py CONFIGURATION URL
"""

import json
import re
import sys

import requests
from datadog_checks.base import AgentCheck
from datadog_checks.base.stubs import aggregator
from datadog_options import instance_of

OWN = {
    "name": {"type": "string"},
    "url": {"type": "string", "pattern": "^https?://"},
    "http_response_status_code": {"type": ["string", "integer"]},
    "include_content": {"type": "boolean"},
    "collect_response_time": {"type": "boolean"},
}


class HttpCheck(AgentCheck):
    def check(self, instance):
        tags = [f"instance:{instance['name']}", f"url:{instance['url']}"]
        try:
            answer = self.http.get(instance["url"])
        except requests.exceptions.RequestException as error:
            self.service_check("http.can_connect", AgentCheck.CRITICAL, tags=tags, message=str(error))
            return
        expected = str(instance.get("http_response_status_code", r"(1|2|3)\d\d"))
        if instance.get("collect_response_time", True):
            self.gauge("network.http.response_time", answer.elapsed.total_seconds(), tags=tags)
        if re.match(expected, str(answer.status_code)):
            self.service_check("http.can_connect", AgentCheck.OK, tags=tags)
        else:
            content = answer.text[:500] if instance.get("include_content") else ""
            self.service_check("http.can_connect", AgentCheck.CRITICAL, tags=tags, message=content)


instance = instance_of(sys.argv[1], "http", "default", "tls", own=OWN, required=["name", "url"])
instance["url"] = sys.argv[2]
error = HttpCheck("http_check", {}, [instance]).run()
assert not error, error
(sent,) = aggregator.service_checks("http.can_connect")
print(json.dumps({"status": sent.status, "message": sent.message}))
