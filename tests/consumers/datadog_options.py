"""Validates the configuration of a check by Datadog's own templates for the options of the Agent's checks."""

import pathlib
from importlib import metadata

import jsonschema
import yaml

PACKAGE = metadata.distribution("datadog_checks_dev")
TEMPLATES = pathlib.Path(PACKAGE.locate_file("datadog_checks/dev/tooling/templates/configuration"))


def schema(value):
    """Returns the JSON Schema of a value in a template. In a template, properties are a list."""
    kept = {key: it for key, it in value.items() if key in ("type", "pattern", "enum", "required")}
    if "anyOf" in value:
        kept["anyOf"] = [schema(it) for it in value["anyOf"]]
    if "items" in value:
        kept["items"] = schema(value["items"])
    if "properties" in value:
        kept["properties"] = {it["name"]: schema(it) for it in value["properties"]}
    if isinstance(value.get("additionalProperties"), dict):
        kept["additionalProperties"] = schema(value["additionalProperties"])
    return kept


def options(template):
    """Yields the options of a template and of the templates that it includes."""
    loaded = yaml.safe_load((TEMPLATES / f"{template}.yaml").read_text())
    for option in loaded if isinstance(loaded, list) else [loaded]:
        if "template" in option:
            yield from options(option["template"])
        else:
            yield option["name"], schema(option["value"])


def instance_of(configuration, *templates, own={}, required=()):
    """Returns the only instance of a configuration, which may have only options of the templates and of `own`."""
    document = yaml.safe_load(open(configuration))
    known = dict(own)
    for template in templates:
        known.update(options(f"instances/{template}"))
    instance = {"type": "object", "properties": known, "required": list(required), "additionalProperties": False}
    instances = {"type": "array", "items": instance, "minItems": 1, "maxItems": 1}
    jsonschema.validate(document, {"properties": {"instances": instances}, "additionalProperties": False})
    return document["instances"][0]
