"""Reads a Docker Compose file by the Compose specification, and prints it as JSON. Unknown fields and values are
refused.

usage: compose.py FILE
"""

import sys

import compose_spec

print(compose_spec.PyCompose.from_yaml(open(sys.argv[1]).read()).to_json())
