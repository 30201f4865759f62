"""Checks the Kubernetes manifests: against the schemas of Kubernetes, and the settings that they hold against the program.

    python deploy/test/kubernetes.py [PROGRAM]
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import kubernetes_validate
import yaml

MANIFESTS = Path(__file__).resolve().parent.parent / "kubernetes/overheard.yaml"
VERSIONS = ["1.28", "1.34"]


def main(programs):
    documents = list(yaml.safe_load_all(MANIFESTS.read_text()))
    for version in VERSIONS:
        for document in documents:
            kubernetes_validate.validate(document, version, strict=True)
    names = {(document["kind"], document["metadata"]["name"]) for document in documents}
    print(f"{len(names)} manifests are valid for Kubernetes {', '.join(VERSIONS)}")
    config = next(document for document in documents if document["kind"] == "ConfigMap")["data"]["overheard.toml"]
    for program in programs:
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
            file.write(config)
            file.flush()
            environment = {**os.environ, "ADMIN_PASSWORD": "of a test, long", "NATS_PASSWORD": "secret"}
            subprocess.run([program, "config", "check", "--config", file.name], check=True, env=environment)


if __name__ == "__main__":
    main(sys.argv[1:])
