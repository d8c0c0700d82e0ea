"""Reads a file of Docker Compose by the Compose specification, unknown fields and values refused, and prints it as JSON.

usage: compose.py FILE
"""

import sys

import compose_spec

print(compose_spec.PyCompose.from_yaml(open(sys.argv[1]).read()).to_json())
