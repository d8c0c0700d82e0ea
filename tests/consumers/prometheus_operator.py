"""Reads every document of a manifest with the models of the Prometheus Operator, and prints the documents as JSON.
Unknown fields are refused.

usage: prometheus_operator.py MANIFEST
"""

import json
import sys

import cloudcoil.pydantic
import yaml

# Set before the models are imported, because they inherit the setting.
cloudcoil.pydantic.BaseModel.model_config["extra"] = "forbid"
from cloudcoil.models.prometheus_operator import v1  # noqa: E402

documents = list(yaml.safe_load_all(open(sys.argv[1])))
for document in documents:
    getattr(v1, document["kind"]).model_validate(document)
print(json.dumps(documents))
