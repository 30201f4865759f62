#!/usr/bin/env python3
"""The alert of the airline storm as every channel delivers it: to receivers on this machine that stand in for a webhook,
Slack, Microsoft Teams, a mail server and Amazon SNS.

Usage: bench/detect/deliver.py TWEETS.jsonl [--until 2015-02-22T21:40:00Z] [--topic AmericanAir] [--program target/debug/overheard]

The tweets up to that moment are moved in time so that it is now, understood, and watched; a rule calls all five channels on a high anomaly of the topic. Prints what each received, word for word, once
all five have something. Checks the webhook's signature. Takes two minutes on two cores.
"""

import argparse
import asyncio
import email
import email.policy
import hashlib
import hmac
import json
import os
import subprocess
import sys
import tempfile
import threading
import urllib.parse
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

CHANNELS = ["webhook", "slack", "teams", "email", "sns"]
SIGNING_KEY = "signing-key-of-the-webhook-0123456789"


class Received:
    """What came, by channel."""

    def __init__(self):
        self.first = {}
        self.all = threading.Event()

    def add(self, channel, text):
        self.first.setdefault(channel, text)
        if len(self.first) == len(CHANNELS):
            self.all.set()


def web(received):
    """A server whose paths are the channels that speak HTTP; returns its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            channel = self.path.strip("/") or "sns"
            received.add(channel, SHOW[channel](self.headers, body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def show_webhook(headers, body):
    signed = f"{headers['x-overheard-timestamp']}.{body}".encode()
    expected = "sha256=" + hmac.new(SIGNING_KEY.encode(), signed, hashlib.sha256).hexdigest()
    verdict = "as it should be" if hmac.compare_digest(expected, headers["x-overheard-signature"]) else "WRONG"
    names = ("x-overheard-id", "x-overheard-timestamp", "x-overheard-signature")
    head = "\n".join(f"{name}: {headers[name]}" for name in names)
    return f"{head} ({verdict})\n\n{json.dumps(json.loads(body), indent=1, ensure_ascii=False)}"


def show_json(_, body):
    return json.dumps(json.loads(body), indent=1, ensure_ascii=False)


def show_sns(headers, body):
    scope = headers["authorization"].split(", Signature")[0]
    return scope + "\n" + "\n".join(f"{name}: {value}" for name, value in urllib.parse.parse_qsl(body))


SHOW = {"webhook": show_webhook, "slack": show_json, "teams": show_json, "sns": show_sns}


def mail(received):
    """A mail server as small as can be; returns its port."""

    async def session(reader, writer):
        def say(line):
            writer.write(f"{line}\r\n".encode())

        say("220 stand-in")
        while line := (await reader.readline()).decode().strip():
            verb = line.split()[0].upper()
            if verb == "DATA":
                say("354 go on")
                message = (await reader.readuntil(b"\r\n.\r\n"))[:-3].replace(b"\r\n..", b"\r\n.")
                received.add("email", show_mail(message))
            say("221 bye" if verb == "QUIT" else "250 ok")
            if verb == "QUIT":
                break
        await writer.drain()
        writer.close()

    ready, port = threading.Event(), []

    async def serve():
        server = await asyncio.start_server(session, "127.0.0.1", 0)
        port.append(server.sockets[0].getsockname()[1])
        ready.set()
        await server.serve_forever()

    threading.Thread(target=lambda: asyncio.run(serve()), daemon=True).start()
    ready.wait()
    return port[0]


def show_mail(message):
    parsed = email.message_from_bytes(message, policy=email.policy.default)
    head = "\n".join(f"{name}: {parsed[name]}" for name in ("From", "To", "Subject", "Message-ID"))
    html = len(parsed.get_body(("html",)).get_content())
    return f"{head}\n\n{parsed.get_body(('plain',)).get_content()}\n(and the same as HTML, {html} characters)"


def moved(source, until, into):
    """Writes the tweets up to `until`, moved so that it is now."""
    shift = datetime.now(timezone.utc) - until
    count = 0
    with into.open("w") as out:
        for line in source.open(encoding="utf-8"):
            post = json.loads(line)
            at = datetime.fromisoformat(post["created_at"].replace("Z", "+00:00"))
            if at <= until:
                post["created_at"] = (at + shift).isoformat(timespec="milliseconds")
                out.write(json.dumps(post) + "\n")
                count += 1
    return count


def settings(topic, address, smtp_port):
    return f"""
time_zone = "America/New_York"
[server]
bind = "127.0.0.1:0"
public_url = "https://overheard.example.org"
[alerts]
allow_internal = true
[[alerts.rules]]
name = "storm"
topic = "{topic}"
severity_min = "high"
channels = {json.dumps(CHANNELS)}
[[alerts.channels]]
name = "webhook"
kind = "webhook"
url = "{address}/webhook"
secret_env = "STAND_IN_KEY"
[[alerts.channels]]
name = "slack"
kind = "slack"
url = "{address}/slack"
[[alerts.channels]]
name = "teams"
kind = "teams"
url = "{address}/teams"
[[alerts.channels]]
name = "email"
kind = "email"
url = "127.0.0.1"
port = {smtp_port}
encryption = "none"
from = "Overheard <alerts@example.org>"
to = ["team@example.org"]
[[alerts.channels]]
name = "sns"
kind = "sns"
url = "{address}/"
topic_arn = "arn:aws:sns:us-east-1:123456789012:storms"
access_key_env = "STAND_IN_KEY"
secret_env = "STAND_IN_KEY"
"""


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("tweets", type=Path)
    arguments.add_argument("--until", type=lambda text: datetime.fromisoformat(text.replace("Z", "+00:00")),
                           default="2015-02-22T21:40:00Z")
    arguments.add_argument("--topic", default="AmericanAir")
    arguments.add_argument("--program", default="target/debug/overheard")
    arguments.add_argument("--patience", type=int, default=240, metavar="SECONDS")
    arguments = arguments.parse_args()
    received = Received()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        config = folder / "overheard.toml"
        config.write_text(settings(arguments.topic, web(received), mail(received)))
        environment = {**os.environ, "OVERHEARD_CONFIG": str(config), "STAND_IN_KEY": SIGNING_KEY}
        program = [arguments.program, "--data", str(folder / "data")]

        def run(*words):
            subprocess.run([*program, *words], check=True, env=environment, stdout=sys.stderr)

        run("topics", "add", arguments.topic, f"@{arguments.topic} OR {arguments.topic}")
        tweets = folder / "tweets.jsonl"
        print(moved(arguments.tweets, arguments.until, tweets), "tweets", file=sys.stderr)
        run("import", str(tweets))
        with (folder / "log").open("w") as log:
            watch = subprocess.Popen([*program, "up", "--role", "detect"], env=environment, stdout=log, stderr=log)
            complete = received.all.wait(arguments.patience)
            watch.terminate()
            watch.wait(30)
        for channel in CHANNELS:
            print(f"== {channel}\n{received.first.get(channel, 'nothing came')}\n")
        if not complete:
            sys.exit((folder / "log").read_text()[-3000:])


if __name__ == "__main__":
    main()
