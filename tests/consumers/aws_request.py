"""Validates the parameters of a call to AWS by the models of botocore, and prints the parameters.

usage: aws_request.py SERVICE OPERATION FILE
"""

import json
import re
import sys

from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator


def unknown(value, shape, place):
    """Returns the mistakes that botocore itself does not report: unknown words of enumerations, and unknown keys
    of attributes, which only the documentation of the model lists.
    """
    if shape.type_name == "structure":
        return [it for key in value for it in unknown(value[key], shape.members[key], f"{place}.{key}")]
    if shape.type_name == "list":
        return [it for at, item in enumerate(value) for it in unknown(item, shape.member, f"{place}[{at}]")]
    known = getattr(shape, "enum", None)
    if shape.name == "TargetGroupAttributeKey":
        known = re.findall(r"<code>([a-z_0-9.]+)</code>", shape.documentation)
    return [f"{place}: {value} is not known"] if known and value not in known else []


service, operation, path = sys.argv[1:]
shape = ServiceModel(Loader().load_service_model(service, "service-2")).operation_model(operation).input_shape
request = json.load(open(path))
report = ParamValidator().validate(request, shape)
mistakes = report.generate_report() if report.has_errors() else "\n".join(unknown(request, shape, operation))
if mistakes:
    sys.exit(mistakes)
print(json.dumps(request))
