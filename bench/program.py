"""Starts the program for a measurement, in a folder of its own, and talks to its API."""

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path


class Overheard:
    """`overheard up` with settings (TOML), on a lake that is there already or an empty one; and a session with it."""

    def __init__(self, binary, settings="", lake=None, environment=None):
        self.folder = tempfile.TemporaryDirectory()
        folder = Path(self.folder.name)
        if lake:
            (folder / "lake").symlink_to(Path(lake).resolve())
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{probe.getsockname()[1]}"
        config = folder / "overheard.toml"
        config.write_text(f'[server]\nbind = "{self.address}"\n{settings}')
        self.log = folder / "log"
        self.process = subprocess.Popen(
            [binary, "up", "--config", str(config), "--data", str(folder)],
            stdout=subprocess.PIPE, stderr=self.log.open("w"), text=True,
            env={**os.environ, "OVERHEARD_LOG": "info", **(environment or {})},
        )
        password = None
        for line in self.process.stdout:
            if found := re.search(r"password\s+(\S+)", line):
                password = found[1]
            if "stop " in line:
                break
        threading.Thread(target=self.process.stdout.read, daemon=True).start()
        self.sign_in(password)

    def sign_in(self, password):
        body = json.dumps({"name": "admin", "password": password}).encode()
        for _ in range(100):
            try:
                with self.call("/api/session", body) as answer:
                    self.cookie = answer.headers["set-cookie"].split(";")[0]
                    must_change = json.load(answer)["must_change_password"]
                break
            except (ConnectionError, urllib.error.URLError):
                time.sleep(0.1)
        else:
            sys.exit("overheard did not start:\n" + self.log.read_text()[-2000:])
        # The first password is only good for choosing another.
        if must_change:
            change = {"current": password, "password": "only for measurements"}
            self.call("/api/session/password", json.dumps(change).encode()).close()

    def call(self, path, body=None, headers=None):
        known = {"content-type": "application/json", "origin": f"http://{self.address}"}
        if cookie := getattr(self, "cookie", None):
            known["cookie"] = cookie
        request = urllib.request.Request(f"http://{self.address}{path}", body, {**known, **(headers or {})})
        return urllib.request.urlopen(request)

    def get(self, path):
        with self.call(path) as answer:
            return json.load(answer)

    def sql(self, statement):
        with self.call("/api/sql", json.dumps({"sql": statement}).encode()) as answer:
            return json.load(answer)["rows"]

    def wait_for(self, pattern):
        """The part of the log that says so."""
        deadline = time.monotonic() + 600
        while self.process.poll() is None and time.monotonic() < deadline:
            if found := re.search(pattern, re.sub(r"\x1b\[[0-9;]*m", "", self.log.read_text())):
                return found[0]
            time.sleep(0.2)
        sys.exit(f"overheard never said {pattern}:\n" + self.log.read_text()[-2000:])

    def memory_mb(self, what):
        """`VmRSS`: now; `VmHWM`: at most."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"{what}:\s+(\d+)", status)[1]) // 1024

    def stop(self):
        self.process.terminate()
        self.process.wait(30)
        self.folder.cleanup()
