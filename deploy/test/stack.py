"""The CloudFormation stack on the emulator: created, used, broken and rolled back, deleted.

    python deploy/test/stack.py target/debug/overheard
"""

import io
import json
import re
import sys
import time
import zipfile
from pathlib import Path

from botocore.exceptions import ClientError

from emulator import Emulator

TEMPLATE = Path(__file__).resolve().parent.parent / "cloudformation/overheard.yaml"
# For a test that doesn't wait for minutes; everything else is as it is deployed.
FAST = {"FunctionTimeout": "30", "Visibility": "3", "Receives": "3"}
# Resources that the emulator doesn't know.
UNKNOWN = ["Budget"]


def template():
    """The template without what the emulator doesn't know."""
    text = TEMPLATE.read_text()
    for name in UNKNOWN:
        text = re.sub(rf"\n  {name}:\n(    .*\n|\n)+", "\n", text)
    return text


def code(binary):
    """A zip as `make dist` makes it, but for its size: the program stays where it is."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        start = zipfile.ZipInfo("bootstrap")
        start.external_attr = 0o755 << 16
        archive.writestr(start, f'#!/bin/sh\nexec "{Path(binary).resolve()}" lambda\n')
    return file.getvalue()


class Stack:
    """The stack in an emulator, with functions that run this program."""

    def __init__(self, emulator, binary, name="overheard", **parameters):
        self.emulator, self.name = emulator, name
        self.cloud = emulator.client("cloudformation")
        self.template = template()
        self.parameters = {"Name": name, "CodeBucket": "code", "CodeKey": "code.zip", **FAST, **parameters}
        s3 = emulator.client("s3")
        s3.create_bucket(Bucket="code")
        s3.put_object(Bucket="code", Key="code.zip", Body=code(binary))

    def __enter__(self):
        self.send(self.cloud.create_stack, self.template)
        found = self.wait("CREATE_COMPLETE")
        self.outputs = {output["OutputKey"]: output["OutputValue"] for output in found["Outputs"]}
        return self

    def __exit__(self, *_):
        self.delete()

    def send(self, call, template, **changes):
        parameters = [{"ParameterKey": key, "ParameterValue": value} for key, value in {**self.parameters, **changes}.items()]
        call(StackName=self.name, TemplateBody=template, Parameters=parameters, Capabilities=["CAPABILITY_NAMED_IAM"])

    def wait(self, wanted):
        for _ in range(240):
            found = self.cloud.describe_stacks(StackName=self.name)["Stacks"][0]
            if not found["StackStatus"].endswith("IN_PROGRESS"):
                break
            time.sleep(0.25)
        if found["StackStatus"] != wanted:
            events = self.cloud.describe_stack_events(StackName=self.name)["StackEvents"]
            reasons = [(event["LogicalResourceId"], event.get("ResourceStatusReason")) for event in events]
            raise SystemExit(f"the stack is {found['StackStatus']}, expected {wanted}: {[r for r in reasons if r[1]]}")
        return found

    def update(self, template, wanted, **changes):
        self.send(self.cloud.update_stack, template, **changes)
        return self.wait(wanted)

    def delete(self):
        """Deletes the stack, and what it keeps by intent: the bucket and what is in it."""
        self.cloud.delete_stack(StackName=self.name)
        for _ in range(240):
            try:
                status = self.cloud.describe_stacks(StackName=self.name)["Stacks"][0]["StackStatus"]
            except ClientError:
                return
            if status == "DELETE_COMPLETE":
                return
            time.sleep(0.25)
        raise SystemExit("the stack was not deleted")


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
        leaves_nothing(emulator)


if __name__ == "__main__":
    main(sys.argv[1])
