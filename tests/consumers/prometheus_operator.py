"""Reads every document of a manifest with the models of the Prometheus Operator, unknown fields refused, and prints the documents
as JSON.

usage: prometheus_operator.py MANIFEST
"""

import json
import sys

import cloudcoil.pydantic
import yaml

# Before the models are made, which take it over.
cloudcoil.pydantic.BaseModel.model_config["extra"] = "forbid"
from cloudcoil.models.prometheus_operator import v1  # noqa: E402

documents = list(yaml.safe_load_all(open(sys.argv[1])))
for document in documents:
    getattr(v1, document["kind"]).model_validate(document)
print(json.dumps(documents))
