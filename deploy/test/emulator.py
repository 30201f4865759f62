"""Starts and stops the AWS emulator (PyPI ministack, `make setup-test`) on a free port of this machine. It enforces IAM and
records every call with its access key; the key `test` is the account's root."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import botocore.session
from botocore.config import Config

PROGRAM = Path(__file__).resolve().parents[2] / "target/ministack/bin/ministack"
ACCOUNT, REGION = "000000000000", "us-east-1"


class Emulator:
    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="overheard-emulator-")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.endpoint = f"http://127.0.0.1:{port}"
        listen = {"BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), "TMPDIR": self.folder}
        guard = {"AUTH": "true", "CLOUDTRAIL_RECORDING": "1", "CLOUDTRAIL_MAX_EVENTS": "1000000"}
        # Functions get this address from it.
        environment = {**os.environ, **listen, **guard, "AWS_ENDPOINT_URL": self.endpoint}
        self.log = open(Path(self.folder) / "log", "w")
        self.process = subprocess.Popen([PROGRAM], env=environment, cwd=self.folder, stdout=self.log, stderr=self.log)
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                return self
            except OSError:
                time.sleep(0.1)
        raise SystemExit(f"the emulator does not listen on port {port}")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def client(self, service, credentials=None):
        """A client for a service, with credentials as environment variables name them; of the root without."""
        given = credentials or {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        return botocore.session.get_session().create_client(
            service,
            region_name=REGION,
            endpoint_url=self.endpoint,
            **{name.lower(): value for name, value in given.items()},
            config=Config(s3={"addressing_style": "path"}, inject_host_prefix=False, retries={"max_attempts": 1}),
        )

    def text(self):
        """What the emulator has logged."""
        return (Path(self.folder) / "log").read_text()
