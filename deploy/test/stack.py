"""The CloudFormation stack on the emulator: created, used, broken and rolled back, deleted.

    python deploy/test/stack.py target/debug/overheard
"""

import io
import json
import os
import re
import subprocess
import sys
import time
import zipfile
from pathlib import Path

from botocore.exceptions import ClientError

import policies
from emulator import ACCOUNT, REGION, Emulator

TEMPLATE = Path(__file__).resolve().parent.parent / "cloudformation/overheard.yaml"
# For a test that doesn't wait for minutes; everything else is as it is deployed.
FAST = {"FunctionTimeout": "30", "Visibility": "3", "Receives": "3"}
# The emulator has no budgets. It is spoken to without TLS, which the policy of the bucket forbids.
LEFT_OUT = ["Budget", "BucketPolicy"]
# Calls that the emulator records under other names than that of the action.
RECORDED = {
    "s3:DeleteObject": ["DeleteObject", "DeleteObjects"],
    "s3:GetObject": ["GetObject", "HeadObject"],
    "s3:ListBucket": ["ListObjectsV2", "ListObjects"],
    "sns:Publish": ["POST.sns", "Publish"],
}
# Roles of the program, with its name in the stack.
ROLES = {"main": "main", "understand": "function-understand", "step": "function-step"}


def template():
    """The template without what the emulator can't do."""
    return without(TEMPLATE.read_text(), LEFT_OUT)


def without(text, resources):
    for name in resources:
        text = re.sub(rf"\n  {name}:\n(    .*\n|\n)+", "\n", text)
    return text


def code(binary, folder, credentials=""):
    """A zip as `make dist` makes it, but for its size: the program stays where it is. On the emulator, functions share the
    machine's /tmp: each gets a folder of its own."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        start = zipfile.ZipInfo("bootstrap")
        start.external_attr = 0o755 << 16
        archive.writestr(start, f'#!/bin/sh\n{credentials}export OVERHEARD_DATA_DIR=$(mktemp -d -p {folder})\nexec "{Path(binary).resolve()}" lambda\n')
    return file.getvalue()


class Stack:
    """The stack in an emulator, with functions that run this program."""

    def __init__(self, emulator, binary, name="overheard", **parameters):
        self.emulator, self.name = emulator, name
        self.cloud = emulator.client("cloudformation")
        self.template = template()
        self.binary = binary
        made = {"Name": name, "CodeBucket": "code", "CodeKey": "code.zip", "Image": f"{name}:test", **self.network()}
        self.parameters = {**made, **FAST, **parameters}
        s3 = emulator.client("s3")
        s3.create_bucket(Bucket="code")
        s3.put_object(Bucket="code", Key="code.zip", Body=code(binary, emulator.folder))

    def __enter__(self):
        self.send(self.cloud.create_stack, self.template)
        found = self.wait("CREATE_COMPLETE")
        self.outputs = {output["OutputKey"]: output["OutputValue"] for output in found["Outputs"]}
        self.give_roles()
        return self

    def network(self):
        """A network with two subnets, as an account has one."""
        network = self.emulator.client("ec2")
        vpc = network.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnets = [
            network.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{number}.0/24", AvailabilityZone=f"{REGION}{zone}")
            for number, zone in enumerate("ab")
        ]
        return {"Vpc": vpc, "Subnets": ",".join(subnet["Subnet"]["SubnetId"] for subnet in subnets)}

    def give_roles(self):
        """Functions run with sessions of their roles whose keys this test knows."""
        self.sessions = {role: self.assume(role) for role in ROLES}
        lines = ""
        for role in ("understand", "step"):
            exports = " ".join(f"{name}={value}" for name, value in self.credentials(role).items())
            lines += f'if [ "$OVERHEARD_LAMBDA_ACTION" = {role} ]; then export {exports}; fi\n'
        for role in ("understand", "step"):
            archive = code(self.binary, self.emulator.folder, lines)
            self.emulator.client("lambda").update_function_code(FunctionName=f"{self.name}-{role}", ZipFile=archive)

    def assume(self, role):
        arn = f"arn:aws:iam::{ACCOUNT}:role/{self.name}-{ROLES[role]}"
        return self.emulator.client("sts").assume_role(RoleArn=arn, RoleSessionName=role)["Credentials"]

    def credentials(self, role):
        """The credentials of a role as environment variables: main, understand or step."""
        session = self.sessions[role]
        return {
            "AWS_ACCESS_KEY_ID": session["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": session["SecretAccessKey"],
            "AWS_SESSION_TOKEN": session["SessionToken"],
        }

    def was_called(self, role, action):
        """Whether the emulator recorded a call of the action with the credentials of a role."""
        service, name = action.split(":")
        key = {"AttributeKey": "AccessKeyId", "AttributeValue": self.sessions[role]["AccessKeyId"]}
        source = {"AttributeKey": "EventSource", "AttributeValue": f"{service}.amazonaws.com"}
        for recorded in RECORDED.get(action, [name]):
            filters = [key, source, {"AttributeKey": "EventName", "AttributeValue": recorded}]
            if self.emulator.client("cloudtrail").lookup_events(LookupAttributes=filters, MaxResults=1)["Events"]:
                return True
        return False

    def check_actions(self, unused=()):
        """What the policies allow was called. (What they don't allow was refused: the emulator enforces them.) `unused`: actions
        that the test gives no reason to call."""
        called, allowed = set(), set()
        for role in ROLES:
            may = self.allowed(role)
            did = {action for action in may if self.was_called(role, action)}
            print(f"{role} called {', '.join(sorted(did))}")
            called, allowed = called | did, allowed | may
        never = allowed - called - set(unused)
        assert not never, f"allowed, and never called: {sorted(never)}"

    def allowed(self, role):
        """The actions that the policies of a role in the stack allow to the program itself."""
        iam, found = self.emulator.client("iam"), set()
        for policy in iam.list_attached_role_policies(RoleName=f"{self.name}-{ROLES[role]}")["AttachedPolicies"]:
            if policy["PolicyName"].removeprefix(f"{self.name}-") in policies.OF_AWS:
                continue
            version = iam.get_policy(PolicyArn=policy["PolicyArn"])["Policy"]["DefaultVersionId"]
            document = iam.get_policy_version(PolicyArn=policy["PolicyArn"], VersionId=version)["PolicyVersion"]["Document"]
            found.update(policies.actions(document))
        return found

    def __exit__(self, *_):
        self.delete()

    def send(self, call, template, **changes):
        parameters = [{"ParameterKey": key, "ParameterValue": value} for key, value in {**self.parameters, **changes}.items()]
        call(StackName=self.name, TemplateBody=template, Parameters=parameters, Capabilities=["CAPABILITY_NAMED_IAM"])

    def wait(self, wanted, name=None):
        name = name or self.name
        for _ in range(240):
            found = self.cloud.describe_stacks(StackName=name)["Stacks"][0]
            if not found["StackStatus"].endswith("IN_PROGRESS"):
                break
            time.sleep(0.25)
        if found["StackStatus"] != wanted:
            events = self.cloud.describe_stack_events(StackName=name)["StackEvents"]
            reasons = [(event["LogicalResourceId"], event.get("ResourceStatusReason")) for event in events]
            raise SystemExit(f"the stack is {found['StackStatus']}, expected {wanted}: {[r for r in reasons if r[1]]}")
        return found

    def resource(self, logical):
        """The name that AWS gave to a resource."""
        return self.cloud.describe_stack_resource(StackName=self.name, LogicalResourceId=logical)["StackResourceDetail"][
            "PhysicalResourceId"
        ]

    def add_raw(self):
        """The second stack: Firehose, a bucket, the function raw. Returns the name of the stream."""
        given = {"Lake": self.resource("Lake"), "Key": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{self.resource('Key')}"}
        given |= {"Name": self.name, "CodeBucket": "code", "CodeKey": "code.zip"}
        self.cloud.create_stack(
            StackName=f"{self.name}-raw",
            TemplateBody=without(TEMPLATE.with_name("raw.yaml").read_text(), ["RawBucketPolicy"]),
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()],
            Capabilities=["CAPABILITY_NAMED_IAM"],
        )
        found = self.wait("CREATE_COMPLETE", f"{self.name}-raw")
        return next(output["OutputValue"] for output in found["Outputs"] if output["OutputKey"] == "Stream")

    def update(self, template, wanted, **changes):
        self.send(self.cloud.update_stack, template, **changes)
        return self.wait(wanted)

    def delete(self):
        """Deletes the stacks; the buckets stay, as they are meant to."""
        for name in (f"{self.name}-raw", self.name):
            self.cloud.delete_stack(StackName=name)
            for _ in range(240):
                if self.is_gone(name):
                    break
                time.sleep(0.25)
            else:
                raise SystemExit(f"the stack {name} was not deleted")

    def is_gone(self, name):
        try:
            return self.cloud.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"] == "DELETE_COMPLETE"
        except ClientError:
            return True

    def sql(self, query):
        """The answer of the program to a query of the lake, its first row."""
        given = {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL": self.emulator.endpoint,
            "OVERHEARD__LAKE__URL": f"s3://{self.outputs['Lake']}/lake",
            "OVERHEARD__STATE__URL": f"s3://{self.outputs['Lake']}/lake",
            "OVERHEARD_DATA_DIR": str(Path(self.emulator.folder) / "data"),
        }
        command = [self.binary, "sql", query, "--format", "jsonl"]
        done = subprocess.run(command, env={**os.environ, **given}, capture_output=True, text=True)
        return json.loads(done.stdout.splitlines()[0]) if done.returncode == 0 else done.stderr

    def until(self, query, wanted):
        """Waits until a query has this answer."""
        for _ in range(120):
            found = self.sql(query)
            if found == wanted:
                return
            time.sleep(0.5)
        raise AssertionError(f"{query}: {found}, expected {wanted}; the emulator says {self.emulator.text()[-2000:]}")


def visibility(stack):
    queue = stack.emulator.client("sqs")
    found = queue.get_queue_attributes(QueueUrl=stack.outputs["Posts"], AttributeNames=["All"])
    return found["Attributes"]["VisibilityTimeout"]


def breaks_and_rolls_back(stack):
    """An update that changes the queue and then fails: the queue is as it was."""
    before = visibility(stack)
    broken = stack.template.replace("\nOutputs:", BROKEN + "\nOutputs:")
    stack.update(broken, "UPDATE_ROLLBACK_COMPLETE", Visibility="77")
    after = visibility(stack)
    assert (before, after) == (FAST["Visibility"], before), f"visibility {before} before, {after} after the roll-back"
    print(f"a failed update was rolled back: visibility {after} s again")
    stack.update(stack.template, "UPDATE_COMPLETE", Visibility="5")
    assert visibility(stack) == "5", "an update that works changes the queue"
    print("an update that works changes the queue")


def allows_and_refuses(stack):
    """The policies allow each role its own work and nothing of the others'."""
    bucket = stack.outputs["Lake"]
    posts, message = stack.outputs["Posts"], {"MessageBody": "x", "MessageGroupId": "1", "MessageDeduplicationId": "1"}
    tries = [
        ("main", "send a batch", True, "sqs", "send_message", {"QueueUrl": posts, **message}),
        ("main", "take a batch", False, "sqs", "receive_message", {"QueueUrl": posts}),
        ("main", "publish an alert", True, "sns", "publish", {"TopicArn": stack.outputs["Alerts"], "Message": "x"}),
        ("main", "write to the lake", True, "s3", "put_object", {"Bucket": bucket, "Key": "lake/test", "Body": b"x"}),
        ("main", "write beside the lake", False, "s3", "put_object", {"Bucket": bucket, "Key": "test", "Body": b"x"}),
        ("main", "list the lake", True, "s3", "list_objects_v2", {"Bucket": bucket, "Prefix": "lake/"}),
        ("main", "list the bucket", False, "s3", "list_objects_v2", {"Bucket": bucket}),
        ("understand", "send a batch", False, "sqs", "send_message", {"QueueUrl": posts, **message}),
        ("understand", "take a batch", True, "sqs", "receive_message", {"QueueUrl": posts}),
        ("understand", "empty the queue", False, "sqs", "purge_queue", {"QueueUrl": posts}),
        ("understand", "publish an alert", False, "sns", "publish", {"TopicArn": stack.outputs["Alerts"], "Message": "x"}),
        ("step", "take a batch", False, "sqs", "receive_message", {"QueueUrl": posts}),
        ("step", "delete from the lake", True, "s3", "delete_object", {"Bucket": bucket, "Key": "lake/test"}),
    ]
    for role, what, is_allowed, service, call, arguments in tries:
        try:
            getattr(stack.emulator.client(service, stack.credentials(role)), call)(**arguments)
            passed = True
        except ClientError as error:
            passed = False
            assert error.response["Error"]["Code"] in ("AccessDenied", "AuthorizationError"), error
        assert passed == is_allowed, f"{role}: {what} is {'allowed' if passed else 'refused'}"
    print(f"the policies allow and refuse as they should: {len(tries)} calls")


def steps_save(stack):
    """The state machine takes posts through its four steps into the lake."""
    text = "The crew in Paris was lovely, thanks #nordwind"
    given = {"posts": [{"id": "77", "platform": "steps", "text": text, "created_at": "2026-11-02T10:00:00Z"}]}
    machine = stack.emulator.client("stepfunctions")
    done = machine.start_sync_execution(stateMachineArn=stack.outputs["Machine"], input=json.dumps(given))
    assert done["status"] == "SUCCEEDED", f"{done.get('error')}: {done.get('cause')}"
    answer = json.loads(done["output"])
    assert answer["saved"] == 1, answer
    stack.until("SELECT sentiment FROM sentiment WHERE platform = 'steps'", {"sentiment": "positive"})
    print(f"the state machine saved a post: {answer['posts'][0]['enrichment']['sentiment']['label']}")


def others_write(stack):
    """What is put into Firehose lies in the bucket, is read by the function raw, and is in the lake once."""
    stream = stack.add_raw()
    post = '{"id": "%d", "platform": "firehose", "text": "Late again", "created_at": "2026-11-02T1%d:00:00Z"}\n'
    records = [{"Data": (post % (number, number)).encode()} for number in range(3)]
    for _ in range(2):
        stack.emulator.client("firehose").put_record_batch(DeliveryStreamName=stream, Records=records)
    stack.until("SELECT count(*) AS rows FROM sentiment WHERE platform = 'firehose'", {"rows": 3})
    print("Firehose wrote six records of three posts, and the lake has three")


# A custom resource whose function is not there.
BROKEN = """
  Broken:
    Type: Custom::Broken
    DependsOn: Posts
    Properties:
      ServiceToken: !Sub "arn:aws:lambda:${AWS::Region}:${AWS::AccountId}:function:absent"
"""


def leaves_nothing(emulator):
    """After the deletion only the bucket is left, which is kept by intent, with the zip's bucket of this test."""
    left = {
        "queues": emulator.client("sqs").list_queues().get("QueueUrls", []),
        "functions": emulator.client("lambda").list_functions()["Functions"],
        "mappings": emulator.client("lambda").list_event_source_mappings()["EventSourceMappings"],
        "machines": emulator.client("stepfunctions").list_state_machines()["stateMachines"],
        "topics": emulator.client("sns").list_topics()["Topics"],
        "tables": emulator.client("glue").get_databases()["DatabaseList"],
        "roles": [role for role in emulator.client("iam").list_roles()["Roles"] if role["RoleName"].startswith("overheard")],
        "alarms": emulator.client("cloudwatch").describe_alarms()["MetricAlarms"],
        "log groups": emulator.client("logs").describe_log_groups()["logGroups"],
    }
    assert not any(left.values()), f"left after the deletion: { {kind: things for kind, things in left.items() if things} }"
    print("after the deletion nothing is left but the bucket, which is kept")


def main(binary):
    with Emulator() as emulator:
        with Stack(emulator, binary) as stack:
            resources = stack.cloud.describe_stack_resources(StackName=stack.name)["StackResources"]
            print(f"created: {len(resources)} resources")
            print(json.dumps(stack.outputs, indent=2))
            breaks_and_rolls_back(stack)
            allows_and_refuses(stack)
            steps_save(stack)
            others_write(stack)
            assert stack.was_called("main", "sqs:SendMessage") and not stack.was_called("step", "sqs:SendMessage")
        leaves_nothing(emulator)


if __name__ == "__main__":
    main(sys.argv[1])
