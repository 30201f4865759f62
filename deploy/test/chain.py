"""The whole chain on the AWS emulator, with the real program: posts of a simulated X are listened to, go through SQS to
the Lambda function, into Delta tables on S3, are counted by SQL; an anomaly is told by SNS; a message that can't be read
ends in the dead-letter queue; the stack is broken, rolled back and deleted.

    python deploy/test/chain.py target/debug/overheard target/debug/x-simulator [--without-model]
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from emulator import REGION, Emulator
from stack import FAST, Stack, breaks_and_rolls_back, leaves_nothing

POSTS = 2_000
HOURS = 14 * 24
DEADLINE_S = 420
# Time for a cold start, and three tries of a message in a minute.
FAST.update({"FunctionTimeout": "18", "Visibility": "20", "Receives": "3"})


def posts():
    """Two weeks of quiet hours and a storm in the last hour but one; as many posts as the test is about."""
    begin = datetime.now(timezone.utc).replace(minute=0, second=0, microsecond=0) - timedelta(hours=HOURS)
    quiet = {hour: 5 if hour % 3 else 6 for hour in range(HOURS)}
    quiet[HOURS - 2] = POSTS - sum(quiet.values()) + quiet[HOURS - 2]
    for hour, count in quiet.items():
        for index in range(count):
            at = begin + timedelta(hours=hour, seconds=index * 3_600 / count)
            text = f"Flight {hour}-{index} of #nordwind is late again, I hate it"
            yield {"id": str(hour * 10_000 + index + 1), "text": text, "created_at": at.isoformat(), "username": f"u{index}"}


class Receiver:
    """What SNS delivers to an HTTP subscription."""

    def __init__(self, sns, topic):
        self.notifications = notifications = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(200)
                self.end_headers()
                message = json.loads(body)
                if message["Type"] == "SubscriptionConfirmation":
                    sns.confirm_subscription(TopicArn=topic, Token=message["Token"])
                else:
                    notifications.append(message)

            def log_message(self, *_):
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=f"http://127.0.0.1:{self.server.server_port}/")


class Installation:
    """The processes beside the function, as the ECS service runs them, and the simulator."""

    def __init__(self, folder, emulator, stack, program, simulator):
        self.folder, self.program, self.running = folder, program, []
        file = Path(folder) / "posts.jsonl"
        file.write_text("".join(json.dumps(post) + "\n" for post in posts()))
        port = 8600 + os.getpid() % 1_000
        self.start([simulator, file, "--address", f"127.0.0.1:{port}", "--posts-per-second", "100"], "simulator")
        bucket, queues = stack.outputs["Lake"], stack.outputs
        config = Path(folder) / "overheard.toml"
        config.write_text(f"""
[watch]
intervals_s = [3600]
[alerts]
allow_internal = true
[[alerts.channels]]
name = "aws"
kind = "sns"
url = "{emulator.endpoint}/"
topic_arn = "{queues['Alerts']}"
[[alerts.rules]]
name = "storm"
severity_min = "high"
channels = ["aws"]
[[sources]]
kind = "x"
name = "x"
base_url = "http://127.0.0.1:{port}"
token_ssm = "/overheard/x"
""")
        settings = {
            "CONFIG": config,
            "DATA_DIR": Path(folder) / "data",
            "_QUEUE__ENGINE": "sqs",
            "_QUEUE__PARTITIONS": "8",
            "_QUEUE__SQS__QUEUE_URL": queues["Posts"],
            "_QUEUE__SQS__LETTERS_URL": queues["Letters"],
            "_LAKE__URL": f"s3://{bucket}/lake",
            "_STATE__URL": f"s3://{bucket}/lake",
            "_SERVER__BIND": "127.0.0.1:0",
        }
        keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        where = {"AWS_ENDPOINT_URL": emulator.endpoint, "AWS_REGION": REGION}
        named = {f"OVERHEARD_{name}": str(value) for name, value in settings.items()}
        self.environment = {**os.environ, **keys, **where, **named}

    def start(self, command, name):
        log = open(Path(self.folder) / f"{name}.log", "w")
        environment = getattr(self, "environment", None)
        self.running.append(subprocess.Popen(list(map(str, command)), env=environment, stdout=log, stderr=log))

    def run(self, *arguments):
        done = subprocess.run([self.program, *arguments], env=self.environment, capture_output=True, text=True)
        return done.stdout if done.returncode == 0 else f"failed: {done.stderr}"

    def sql(self, query):
        answer = self.run("sql", query, "--format", "jsonl")
        return json.loads(answer.splitlines()[0]) if answer.startswith("{") else answer

    def stop(self):
        for process in reversed(self.running):
            process.send_signal(signal.SIGTERM)
        for process in self.running:
            process.wait(60)

    def logs(self):
        for file in sorted(Path(self.folder).glob("*.log")):
            yield f"--- {file.name}\n{file.read_text()[-3_000:]}"


def until(what, check, deadline_s=DEADLINE_S):
    """Waits for something to be so; returns it."""
    began, found = time.time(), None
    while time.time() - began < deadline_s:
        found = check()
        if found:
            print(f"{what} (after {time.time() - began:.0f} s)", flush=True)
            return found
        time.sleep(1)
    raise AssertionError(f"not in {deadline_s} s: {what}; last: {found}")


def counts(installation):
    """Rows and distinct posts of the tables, once they are all there."""
    found = installation.sql(
        "SELECT (SELECT count(*) FROM raw) AS raw, (SELECT count(DISTINCT post_id) FROM raw) AS ids, "
        "(SELECT count(*) FROM sentiment) AS rows, (SELECT count(DISTINCT post_id) FROM sentiment) AS understood, "
        "(SELECT count(sentiment) FROM sentiment) AS with_sentiment"
    )
    return found if isinstance(found, dict) and found["understood"] >= POSTS else None


def poison_goes_to_the_dead_letters(emulator, stack):
    """A message that can't be read, in a group of its own, ends in the dead-letter queue."""
    queue = emulator.client("sqs")
    group = {"MessageGroupId": "poison", "MessageDeduplicationId": "poison"}
    queue.send_message(QueueUrl=stack.outputs["Posts"], MessageBody="not a batch", **group)

    def dead():
        found = queue.receive_message(QueueUrl=stack.outputs["Dead"], MaxNumberOfMessages=10)
        return [message["Body"] for message in found.get("Messages", [])]

    assert until("a message that can't be read is in the dead-letter queue", dead) == ["not a batch"]


def chain(emulator, stack, program, simulator, with_model):
    emulator.client("ssm").put_parameter(Name="/overheard/x", Value="simulator-token", Type="SecureString", Overwrite=True)
    receiver = Receiver(emulator.client("sns"), stack.outputs["Alerts"])
    with tempfile.TemporaryDirectory(prefix="overheard-chain-") as folder:
        installation = Installation(folder, emulator, stack, program, simulator)
        try:
            print(installation.run("topics", "add", "nordwind", "#nordwind").strip())
            installation.start([program, "up", "--role", "listen,detect"], "main")
            found = until(f"{POSTS} posts are in the lake", lambda: counts(installation))
            print(json.dumps(found))
            sentiments = found.pop("with_sentiment")
            assert set(found.values()) == {POSTS}, f"every post once in every table: {found}"
            assert sentiments == (POSTS if with_model else 0), f"{sentiments} posts have a sentiment"
            poison_goes_to_the_dead_letters(emulator, stack)
            told = until("an anomaly was delivered by SNS", lambda: receiver.notifications)
            print(told[0]["Subject"])
        except BaseException:
            print("\n".join(installation.logs()), emulator.text()[-6_000:])
            raise
        finally:
            installation.stop()


def main(program, simulator, *flags):
    began, with_model = time.time(), "--without-model" not in flags
    config = {} if with_model else {"Config": "[understand]\nenabled = false\n"}
    with Emulator() as emulator:
        with Stack(emulator, program, **config) as stack:
            chain(emulator, stack, program, simulator, with_model)
            breaks_and_rolls_back(stack)
        leaves_nothing(emulator)
    print(f"the chain works on the emulator: {time.time() - began:.0f} s")


if __name__ == "__main__":
    main(*(str(Path(argument).resolve()) for argument in sys.argv[1:3]), *sys.argv[3:])
