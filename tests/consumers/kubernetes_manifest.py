"""Validates every document of a manifest by the schemas of Kubernetes, and prints the documents as JSON. Unknown fields
are refused.

usage: kubernetes_manifest.py MANIFEST VERSION...
"""

import json
import sys

import kubernetes_validate
import yaml

documents = list(yaml.safe_load_all(open(sys.argv[1])))
for version in sys.argv[2:]:
    for document in documents:
        kubernetes_validate.validate(document, version, strict=True)
print(json.dumps(documents))
