"""Reads a Nomad job with HashiCorp's own HCL parser, and prints it as JSON. Keys that Nomad's API does not have are
refused. The program Traefik contains this API, with the name of each key.

usage: nomad_job.py FILE TRAEFIK
"""

import json
import re
import sys

import pygohcl

# Blocks with a label, and blocks with arbitrary keys.
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
    sys.exit("\n".join(mistakes) or "the program does not contain the keys of Nomad")
print(json.dumps(job))
