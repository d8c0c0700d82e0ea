"""Reads a metrics page in both formats with the strict parsers of prometheus-client, and fails if the contents differ.

usage: metrics.py TEXT OPENMETRICS
"""

import sys

from prometheus_client import parser
from prometheus_client.openmetrics import parser as strict


def samples(families):
    found = {}
    for family in families:
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found, f"{key} occurs twice"
            found[key] = sample.value
    return found


def kinds(families):
    return {family.name.removesuffix("_total"): family.type for family in families}


text = list(parser.text_string_to_metric_families(open(sys.argv[1], newline="").read()))
openmetrics = list(strict.text_string_to_metric_families(open(sys.argv[2], newline="").read()))
assert kinds(text) == kinds(openmetrics), (kinds(text), kinds(openmetrics))
assert samples(text) == samples(openmetrics)
print(len(samples(text)))
