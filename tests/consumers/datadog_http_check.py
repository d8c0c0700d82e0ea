"""Asks as the Datadog Agent's HTTP check would, with a configuration and a URL in place of its own, and prints the status
of http.can_connect. The check itself is in no package, so these are its documented rules.

usage: datadog_http_check.py CONFIGURATION URL
"""

import re
import sys

import requests
import yaml

instance = yaml.safe_load(open(sys.argv[1]))["instances"][0]
assert instance["name"] and instance["url"].startswith("http://"), instance
answer = requests.get(sys.argv[2], timeout=instance["timeout"])
assert instance["include_content"] and len(answer.text[:500]) > 2, answer.text
print(0 if re.match(instance["http_response_status_code"] + "$", str(answer.status_code)) else 2)
