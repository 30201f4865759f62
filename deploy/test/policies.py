"""Checks the policies: valid JSON, no action that nobody calls, none missing, no wildcards without a reason."""

import json
import re
from pathlib import Path

DEPLOY = Path(__file__).resolve().parent.parent

# Policies of the program itself. Together they allow what the program calls, which is deploy/actions.json.
OF_PROGRAM = ["alerts", "engines", "lake", "listen", "raw", "sagemaker", "secrets", "streams", "understand"]
# Policies of what AWS does on behalf of the program, with the actions that its documentation names.
OF_AWS = {
    "disk": ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"],
    "exec": [f"ssmmessages:{verb}{channel}" for verb in ("Create", "Open") for channel in ("ControlChannel", "DataChannel")],
    "execution": [
        "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetAuthorizationToken", "ecr:GetDownloadUrlForLayer",
        "kms:Decrypt", "logs:CreateLogStream", "logs:PutLogEvents", "ssm:GetParameters",
    ],
    "firehose": [
        "kms:Decrypt", "kms:GenerateDataKey", "s3:AbortMultipartUpload", "s3:GetBucketLocation", "s3:GetObject",
        "s3:ListBucket", "s3:ListBucketMultipartUploads", "s3:PutObject",
    ],
    "function": ["kms:Decrypt", "logs:CreateLogStream", "logs:PutLogEvents"],
    "machine": [
        "lambda:InvokeFunction", "logs:CreateLogDelivery", "logs:DeleteLogDelivery", "logs:DescribeLogGroups",
        "logs:DescribeResourcePolicies", "logs:GetLogDelivery", "logs:ListLogDeliveries", "logs:PutResourcePolicy",
        "logs:UpdateLogDelivery", "xray:GetSamplingRules", "xray:GetSamplingTargets", "xray:PutTelemetryRecords",
        "xray:PutTraceSegments",
    ],
    "replication": [
        "kms:Decrypt", "kms:Encrypt", "s3:GetObjectVersionAcl", "s3:GetObjectVersionForReplication",
        "s3:GetObjectVersionTagging", "s3:GetReplicationConfiguration", "s3:ListBucket", "s3:ReplicateDelete",
        "s3:ReplicateObject", "s3:ReplicateTags",
    ],
}  # fmt: skip
# Policies of resources and roles: who may come, not what we may do.
OF_RESOURCES = ["assume", "bucket", "key", "topic"]
# Statements whose actions AWS can't limit to a resource.
EVERY_RESOURCE = [("engines", "Engines"), ("exec", "Exec"), ("execution", "Login"), ("machine", "Trace"), ("machine", "Log")]


def policies(deploy=DEPLOY):
    """{name: policy}, with the names of placeholders for their values."""
    files = sorted((Path(deploy) / "policies").glob("*.json.tftpl"))
    return {file.name.split(".")[0]: json.loads(re.sub(r"\$\{(\w+)\}", r"<\1>", file.read_text())) for file in files}


def actions(policy):
    return sorted({action for statement in policy["Statement"] for action in as_list(statement["Action"])})


def as_list(value):
    return value if isinstance(value, list) else [value]


def called(deploy):
    """The actions that the program calls."""
    return sorted(json.loads((Path(deploy) / "actions.json").read_text()))


def problems(deploy=DEPLOY):
    """What is wrong, a line each."""
    found = policies(deploy)
    known = {*OF_PROGRAM, *OF_AWS, *OF_RESOURCES}
    for name in sorted(known ^ set(found)):
        yield f"policies/{name}.json.tftpl: {'is missing' if name in known else 'is not named in test/policies.py'}"
    for name in sorted(set(found) & known - set(OF_RESOURCES)):
        for statement in found[name]["Statement"]:
            yield from statement_problems(name, statement)
    allowed = sorted({action for name in OF_PROGRAM if name in found for action in actions(found[name])})
    program = called(deploy)
    yield from (f"{action} is allowed, and the program never calls it" for action in set(allowed) - set(program))
    yield from (f"the program calls {action}, and no policy allows it" for action in set(program) - set(allowed))
    for name, wanted in OF_AWS.items():
        if name in found and actions(found[name]) != sorted(wanted):
            yield f"policies/{name}.json.tftpl: allows {actions(found[name])}, expected {sorted(wanted)}"


def statement_problems(name, statement):
    place = f"policies/{name}.json.tftpl, {statement['Sid']}"
    if any("*" in action for action in as_list(statement["Action"])):
        yield f"{place}: an action has a wildcard"
    if "*" in as_list(statement["Resource"]) and (name, statement["Sid"]) not in EVERY_RESOURCE:
        yield f"{place}: every resource is allowed"
    if as_list(statement["Action"]) != sorted(as_list(statement["Action"])):
        yield f"{place}: actions are not in alphabetical order"
