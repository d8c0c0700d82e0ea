"""Runs the Datadog Agent's OpenMetrics check with a configuration on a metrics page, as the Agent would. Prints the
service checks and the names of the metrics that the Agent would send.

usage: datadog_openmetrics.py CONFIGURATION URL
"""

import json
import sys

from datadog_checks.base import OpenMetricsBaseCheckV2
from datadog_checks.base.stubs import aggregator
from datadog_options import instance_of

instance = instance_of(sys.argv[1], "openmetrics", required=["openmetrics_endpoint"])
instance["openmetrics_endpoint"] = sys.argv[2]
OpenMetricsBaseCheckV2.__NAMESPACE__ = ""
check = OpenMetricsBaseCheckV2("openmetrics", {}, [instance])
aggregator.reset()
check.run()
names = ["orders.health_severity", "orders.openmetrics.health"]
service_checks = {name: [it.status for it in aggregator.service_checks(name)] for name in names}
print(json.dumps({"service_checks": service_checks, "metrics": sorted(aggregator.metric_names)}))
