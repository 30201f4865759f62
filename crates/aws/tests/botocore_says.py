"""Reads recorded requests and asks botocore's service models whether AWS would take them.

Prints the operations, or what is wrong with them (exit status 1).
"""

import json
import sys
from urllib.parse import parse_qsl

import botocore.session
from botocore.validate import ParamValidator

# By the prefix of x-amz-target, else by the service that a signature names.
SERVICES = {
    "AmazonSQS": "sqs",
    "sns": "sns",
    "AWSShineFrontendService_20170701": "translate",
    "Comprehend_20171127": "comprehend",
    "sagemaker": "sagemaker-runtime",
    "geo-places": "geo-places",
    "AmazonSSM": "ssm",
    "secretsmanager": "secretsmanager",
    "Firehose_20150804": "firehose",
    "Kinesis_20131202": "kinesis",
}


def fault(request, session, seen):
    """What is wrong with a request, in words; None: nothing."""
    prefix, _, name = request["target"].partition(".")
    signed_as = request["scope"].split("/")[3]
    model = session.get_service_model(SERVICES[prefix or signed_as])
    protocol = model.metadata["protocol"]
    if protocol == "query":
        body = dict(parse_qsl(request["body"], strict_parsing=True))
        name = body.pop("Action")
        if body.pop("Version") != model.api_version:
            return "another version of the API"
    elif protocol == "rest-json":
        body, name = of_path(request, model)
    else:
        body = json.loads(request["body"])
        expected = f"application/x-amz-json-{model.metadata['jsonVersion']}"
        if request["type"] != expected:
            return f"content type {request['type']}, not {expected}"
    seen.append(f"{model.signing_name}:{name}")
    report = ParamValidator().validate(body, model.operation_model(name).input_shape)
    return report.generate_report() or None


def of_path(request, model):
    """The parameters and the operation of a request that is told by its path."""
    for name in model.operation_names:
        parts = model.operation_model(name).http["requestUri"].split("/")
        path = request["path"].split("/")
        if len(parts) == len(path) and all(p == q or p.startswith("{") for p, q in zip(parts, path)):
            body = {p.strip("{}"): q for p, q in zip(parts, path) if p.startswith("{")}
            payload = model.operation_model(name).input_shape.serialization.get("payload")
            body.update({payload: request["body"]} if payload else json.loads(request["body"]))
            return body, name
    raise SystemExit(f"no operation has the path {request['path']}")


def main():
    session, seen, faults = botocore.session.get_session(), [], []
    for request in json.load(sys.stdin):
        words = fault(request, session, seen)
        if words:
            faults.append({"request": request, "fault": words})
    print(json.dumps(faults or seen))
    sys.exit(1 if faults else 0)


main()
