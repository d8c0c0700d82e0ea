"""Reads a dashboard with Grafana's own SDK, and prints the differences from its schema: unknown keys, values of a wrong
type, and unknown kinds of panels, queries and units.

usage: grafana_dashboard.py DASHBOARD
"""

import importlib
import inspect
import json
import pkgutil
import sys

import pydantic
from grafana_foundation_sdk import models
from grafana_foundation_sdk.cog import encoder, plugins, runtime
from grafana_foundation_sdk.models import dashboard, prometheus, units


def checked(module):
    """Makes the classes of a module check their declared types, because from_json accepts any value."""
    for _, kind in inspect.getmembers(module, inspect.isclass):
        if kind.__module__ == module.__name__ and "from_json" in vars(kind):
            check = pydantic.validate_call(config=pydantic.ConfigDict(arbitrary_types_allowed=True))
            kind.__init__ = check(kind.__init__)


def lost(before, after, path="dashboard"):
    """Yields the parts that were read but are not written again."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            if key in after:
                yield from lost(value, after[key], f"{path}.{key}")
            else:
                yield f"{path}.{key}: not known"
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, pair in enumerate(zip(before, after)):
            yield from lost(*pair, f"{path}[{index}]")
    elif before != after:
        yield f"{path}: {before!r} was read as {after!r}"


def findings(text):
    read = dashboard.Dashboard.from_json(json.loads(text))
    yield from lost(json.loads(text), json.loads(json.dumps(read, cls=encoder.JSONEncoder)))
    known = {value for name, value in vars(units).items() if not name.startswith("_")}
    for panel in read.panels:
        if runtime.panelcfg_config(panel.type_val) is None:
            yield f"{panel.title}: no panel is a {panel.type_val}"
        if panel.field_config.defaults.unit not in known:
            yield f"{panel.title}: no unit is called {panel.field_config.defaults.unit}"
        for query in panel.targets:
            source = getattr(query, "datasource", None)
            if not isinstance(query, prometheus.Dataquery) or source and source.type_val != "prometheus":
                yield f"{panel.title}: not a query for Prometheus"
            elif not query.expr:
                yield f"{panel.title}: a query without an expression"


plugins.register_default_plugins()
for module in pkgutil.iter_modules(models.__path__, models.__name__ + "."):
    checked(importlib.import_module(module.name))
try:
    found = list(findings(open(sys.argv[1]).read()))
except pydantic.ValidationError as error:
    found = [str(error)]
for finding in found:
    print(finding)
sys.exit(bool(found))
