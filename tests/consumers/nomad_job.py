"""Reads a job of Nomad with HashiCorp's own HCL, and prints it as JSON. Keys that Nomad's interface does not have are refused: it is
part of the program Traefik, which names each key.

usage: nomad_job.py FILE TRAEFIK
"""

import json
import re
import sys

import pygohcl

# Blocks with a label, and blocks with keys of one's own.
LABELLED = {"job", "group", "task", "port", "volume"}
FREE = {"config", "env", "meta", "header"}


def unknown(block, place, known):
    found = []
    for key, value in block.items():
        found += [] if key in known else [f"{place}{key} is not known"]
        for body in value if isinstance(value, list) else [value]:
            if isinstance(body, dict) and key not in FREE:
                for label, inner in body.items() if key in LABELLED else [("", body)]:
                    found += unknown(inner, f"{place}{key}.{label + '.' if label else ''}", known)
    return found


job = pygohcl.loads(open(sys.argv[1]).read())
with open(sys.argv[2], "rb") as program:
    keys = {key.decode() for key in re.findall(rb'hcl:"([a-z_0-9]+)[",]', program.read())}
mistakes = unknown(job, "", keys | {"job"})
if mistakes or len(keys) < 100:
    sys.exit("\n".join(mistakes) or "the program names no keys of Nomad")
print(json.dumps(job))
