"""Compares the Terraform module and the CloudFormation template: kinds of resources, policies, queues, tables, state machine.

    python deploy/test/twins.py
"""

import json
import re
import sys
import tomllib
from pathlib import Path

import yaml

import policies
import schema

DEPLOY = Path(__file__).resolve().parent.parent

# Kinds of resources under both names.
KINDS = {
    "aws_athena_workgroup": "AWS::Athena::WorkGroup",
    "aws_budgets_budget": "AWS::Budgets::Budget",
    "aws_cloudwatch_log_group": "AWS::Logs::LogGroup",
    "aws_cloudwatch_metric_alarm": "AWS::CloudWatch::Alarm",
    "aws_ecr_repository": "AWS::ECR::Repository",
    "aws_ecs_cluster": "AWS::ECS::Cluster",
    "aws_ecs_service": "AWS::ECS::Service",
    "aws_ecs_task_definition": "AWS::ECS::TaskDefinition",
    "aws_efs_access_point": "AWS::EFS::AccessPoint",
    "aws_efs_file_system": "AWS::EFS::FileSystem",
    "aws_efs_mount_target": "AWS::EFS::MountTarget",
    "aws_glue_catalog_database": "AWS::Glue::Database",
    "aws_glue_catalog_table": "AWS::Glue::Table",
    "aws_iam_role": "AWS::IAM::Role",
    "aws_iam_role_policy": "AWS::IAM::ManagedPolicy",
    "aws_kms_key": "AWS::KMS::Key",
    "aws_lambda_event_source_mapping": "AWS::Lambda::EventSourceMapping",
    "aws_kinesis_firehose_delivery_stream": "AWS::KinesisFirehose::DeliveryStream",
    "aws_lambda_function": "AWS::Lambda::Function",
    "aws_lambda_permission": "AWS::Lambda::Permission",
    "aws_s3_bucket": "AWS::S3::Bucket",
    "aws_s3_bucket_policy": "AWS::S3::BucketPolicy",
    "aws_security_group": "AWS::EC2::SecurityGroup",
    "aws_sfn_state_machine": "AWS::StepFunctions::StateMachine",
    "aws_sns_topic": "AWS::SNS::Topic",
    "aws_sns_topic_policy": "AWS::SNS::TopicPolicy",
    "aws_sns_topic_subscription": "AWS::SNS::Subscription",
    "aws_sqs_queue": "AWS::SQS::Queue",
}
# Resources of Terraform that are properties of another resource in CloudFormation.
PROPERTIES = [
    "aws_ecr_lifecycle_policy", "aws_ecs_cluster_capacity_providers", "aws_efs_backup_policy",
    "aws_s3_bucket_lifecycle_configuration", "aws_s3_bucket_notification", "aws_s3_bucket_public_access_block",
    "aws_s3_bucket_server_side_encryption_configuration", "aws_s3_bucket_versioning",
]  # fmt: skip
# Resources that only the Terraform module has, with the reason.
TERRAFORM_ALONE = {
    "the template takes a network that exists": [
        "aws_vpc", "aws_default_security_group", "aws_internet_gateway", "aws_subnet", "aws_route_table",
        "aws_route_table_association", "aws_vpc_endpoint",
    ],
    "the template has no load balancer: the dashboard is reached through ECS Exec": [
        "aws_lb", "aws_lb_listener", "aws_lb_target_group", "aws_acm_certificate", "aws_acm_certificate_validation",
        "aws_route53_record", "aws_vpc_security_group_ingress_rule",
    ],
    "functions scale by themselves, and the template has no workers": [
        "aws_appautoscaling_target", "aws_appautoscaling_policy",
    ],
    "a stack makes resources of one region": ["aws_s3_bucket_replication_configuration"],
    "CloudFormation can't make a SecureString: `aws ssm put-parameter` does": ["aws_ssm_parameter"],
}  # fmt: skip
# Policies that only the Terraform module has.
POLICIES_ALONE = {"replication": "no copy", "sagemaker": "no endpoint is named", "streams": "no streams are named"}
# What the placeholders of policies are in the template.
PLACEHOLDERS = {
    "Name": "name", "AWS::AccountId": "account", "AWS::Region": "region", "Lake.Arn": "bucket", "Key.Arn": "key",
    "Posts.Arn": "posts", "Letters.Arn": "letters", "Alerts": "alerts", "Repository.Arn": "repository", "Disk.Arn": "disk",
    "Access.Arn": "access", "StepFunction.Arn": "step", "RawBucket.Arn": "raw", "Key": "key",
}  # fmt: skip
# What has a name that is known before it is made.
NAMED = {
    "arn:aws:logs:<region>:<account>:log-group:/<name>/tasks": "<logs>",
    "arn:aws:s3:::<name>-raw-<account>-<region>": "<raw>",
}
# Arguments of a queue, under both names.
QUEUE = {
    "deduplication_scope": "DeduplicationScope",
    "fifo_queue": "FifoQueue",
    "fifo_throughput_limit": "FifoThroughputLimit",
    "max_message_size": "MaximumMessageSize",
    "message_retention_seconds": "MessageRetentionPeriod",
}


class Template(yaml.SafeLoader):
    """YAML with CloudFormation's short forms: `!Ref X` is {"Ref": "X"}."""


def short_form(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode):
        return {suffix: loader.construct_scalar(node)}
    return {suffix: loader.construct_sequence(node, deep=True)}


Template.add_multi_constructor("!", short_form)


def template(deploy):
    """Both templates as one: overheard.yaml, and what raw.yaml adds."""
    folder = Path(deploy) / "cloudformation"
    stack, raw = (yaml.load((folder / name).read_text(), Template) for name in ("overheard.yaml", "raw.yaml"))
    return {**stack, "Resources": {**stack["Resources"], **raw["Resources"]}}


def plain(value):
    """A value of the template with placeholders as those of the policies' files."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) <= {"Ref", "GetAtt"}:
        return f"<{PLACEHOLDERS[next(iter(value.values()))]}>"
    if "Sub" in value:
        text = re.sub(r"\$\{([\w:.]+)\}", lambda found: f"<{PLACEHOLDERS[found[1]]}>", value["Sub"])
        for name, placeholder in NAMED.items():
            text = text.replace(name, placeholder)
        return text
    return {key: plain(item) for key, item in value.items()}


def problems(deploy=DEPLOY):
    stack = template(deploy)
    resources = stack["Resources"]
    yield from kinds(deploy, resources)
    yield from policies_differ(deploy, resources)
    yield from queues_differ(deploy, stack)
    yield from unknown_settings(deploy)
    machine = json.loads((Path(deploy) / "machine.asl.json").read_text())
    if json.loads(resources["Machine"]["Properties"]["DefinitionString"]) != machine:
        yield "the state machine is not that of machine.asl.json"
    tables = {}
    for resource in resources.values():
        if resource["Type"] == "AWS::Glue::Table":
            table = resource["Properties"]["TableInput"]
            columns = [{"name": column["Name"], "type": column["Type"]} for column in table["StorageDescriptor"]["Columns"]]
            tables[table["Name"]] = columns
    if tables != json.loads((Path(deploy) / "tables.json").read_text()):
        yield "the tables are not those of tables.json"


def kinds(deploy, resources):
    ours = {name for kind, name in schema.named_by(Path(deploy) / "terraform") if kind == "resource"}
    theirs = {resource["Type"] for resource in resources.values()}
    alone = {name for names in TERRAFORM_ALONE.values() for name in names}
    for name in sorted(ours - set(KINDS) - set(PROPERTIES) - alone):
        yield f"{name} is in the module alone, and test/twins.py says no reason"
    for name in sorted((set(KINDS) | set(PROPERTIES) | alone) - ours):
        yield f"test/twins.py names {name}, which the module doesn't have"
    for name in sorted(theirs ^ set(KINDS.values())):
        yield f"{name} is in the {'template' if name in theirs else 'module'} alone, and test/twins.py says no reason"


def policies_differ(deploy, resources):
    files = policies.policies(deploy)
    found = {"bucket": "BucketPolicy", "topic": "TopicPolicy"}
    found = {name: resources[resource]["Properties"]["PolicyDocument"] for name, resource in found.items()}
    found["key"] = resources["Key"]["Properties"]["KeyPolicy"]
    for name, resource in resources.items():
        properties = resource["Properties"]
        if resource["Type"] == "AWS::IAM::ManagedPolicy":
            found[name.removesuffix("Policy").lower()] = properties["PolicyDocument"]
        if resource["Type"] == "AWS::IAM::Role":
            document = json.dumps(properties["AssumeRolePolicyDocument"])
            found["assume"] = json.loads(re.sub(r'"[\w-]+\.amazonaws\.com"', '"<service>"', document))
    for name in sorted(set(files) - set(POLICIES_ALONE)):
        if plain(found.get(name)) != files[name]:
            yield f"the template's policy {name} is not that of policies/{name}.json.tftpl"
    for name in sorted(set(found) - set(files)):
        yield f"the template has a policy {name}, of which there is no file"


def queues_differ(deploy, stack):
    text = (Path(deploy) / "terraform/queue.tf").read_text()
    defaults = {name: parameter.get("Default") for name, parameter in stack["Parameters"].items()}
    for name in ("posts", "letters", "dead"):
        block = re.search(rf'resource "aws_sqs_queue" "{name}" \{{\n(.*?)\n\}}', text, re.S)[1]
        ours = dict(re.findall(r"^  (\w+) += (.*)$", block, re.M))
        theirs = stack["Resources"][name.capitalize()]["Properties"]
        for argument, property in QUEUE.items():
            if json.loads(ours.get(argument, "null")) != theirs.get(property):
                yield f"the queue {name} differs in {argument}"
    functions = 6 * int(defaults["FunctionTimeout"])
    if "6 * var.function.timeout" not in text or defaults["Visibility"] != functions:
        yield f"batches must stay invisible for six times the function's time: {functions} s"
    tries = int(re.search(r"receives_max = local.is_lambda == 1 \? (\d+)", text)[1])
    if defaults["Receives"] != tries:
        yield f"the module tries a batch {tries} times, the template {defaults['Receives']} times"


def unknown_settings(deploy):
    """Variables of the program's settings that config/default.toml doesn't have."""
    defaults = tomllib.loads((DEPLOY.parent / "config/default.toml").read_text())
    for file in [*(Path(deploy) / "terraform").glob("*.tf"), *(Path(deploy) / "cloudformation").glob("*.yaml")]:
        for name in set(re.findall(r"\bOVERHEARD__\w+", file.read_text())):
            place = defaults
            for part in name.removeprefix("OVERHEARD__").lower().split("__"):
                place = place.get(part) if isinstance(place, dict) else None
            if place is None:
                yield f"{file.name}: {name} is no setting of the program"


if __name__ == "__main__":
    wrong = list(problems())
    print("\n".join(wrong) or "the module and the template agree")
    sys.exit(bool(wrong))
