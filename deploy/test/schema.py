"""The schema of hashicorp/aws, for the resources and data sources that a Terraform module names.

The provider's binary is in no package registry, but its schema is: PyPI's cdktn-provider-aws holds bindings generated from
it, with the name, type, nesting and computed/optional/required of every attribute. They are read by patterns.
"""

import re
import tarfile
from importlib.metadata import distribution
from pathlib import Path

# One entry of a generated synthesizeHclAttributes() or ...ToHclTerraform().
ATTRIBUTE = re.compile(
    r'^\s+(\w+): \{\n\s+value: (.*?),\n\s+isBlock: (true|false),\n\s+type: "(\w+)",\n\s+storageClassType: "(\w+)",', re.M
)
FLAGS = re.compile(r"// (\w+) - computed: (true|false), optional: (true|false), required: (true|false)")
GETTER = re.compile(r"return this\.get(\w+)Attribute\('(\w+)'\)")
MEMBER = re.compile(r'new (?:cdktn\.)?(\w+)\(this, "(\w+)"(?:, (true|false))?\)')
SIMPLE = {"string": "string", "number": "number", "boolean": "bool", "any": "dynamic"}
BLOCKS = re.compile(r'^(resource|data) "(aws_\w+)"', re.M)
DEPTH_MAX = 10


def named_by(module):
    """What the files of a module name: {("resource", "aws_kms_key"), ...}."""
    return {found for file in Path(module).rglob("*.tf") for found in BLOCKS.findall(file.read_text())}


def bindings():
    """The archive with the generated files, and the version of the provider that they were generated from."""
    package = distribution("cdktn-provider-aws")
    archive = next(file for file in package.files if file.name.endswith(".tgz"))
    return package.locate_file(archive)


def provider_version(archive):
    """The exact version of the provider, from the bindings' metadata."""
    with tarfile.open(archive) as files:
        text = files.extractfile("package/lib/provider/index.js").read().decode()
    return re.search(r"providerVersion: '([\d.]+)'", text).group(1)


def extract(archive, wanted):
    """{"resource": {name: block}, "data": {name: block}} of what is wanted."""
    folders = {}
    for kind, name in wanted:
        folder = name.removeprefix("aws_").replace("_", "-")
        folders[f"package/lib/{'data-aws-' if kind == 'data' else ''}{folder}/index.js"] = (kind, name)
    found = {"resource": {}, "data": {}}
    with tarfile.open(archive) as files:
        for member in files:
            if member.name in folders:
                kind, name = folders.pop(member.name)
                text = files.extractfile(member).read().decode()
                found[kind][name] = Bindings(text.split("//# sourceMappingURL")[0]).resource(name)
    if folders:
        raise SystemExit(f"the provider's schema has no {', '.join(f'{kind} {name}' for kind, name in folders.values())}")
    return found


class Bindings:
    """The generated file of one resource."""

    def __init__(self, text):
        functions = re.finditer(r"function (\w+)ToHclTerraform\(struct\) \{(.*?)\n\}", text, re.S)
        self.functions = {found[1]: attributes(found[2]) for found in functions}
        classes = re.finditer(r"\nclass (\w+) extends cdktn\.(\w+) \{(.*?)\n\}\n", text, re.S)
        self.classes = {found[1]: found[3] for found in classes}

    def resource(self, name):
        body = next(body for body in self.classes.values() if f'tfResourceType = "{name}"' in body)
        given = re.search(r"synthesizeHclAttributes\(\) \{(.*?)\n    \}", body, re.S)
        return self.block(body, attributes(given[1]) if given else {}, 0)

    def block(self, body, given, depth):
        """A block from its class and from what can be given in it."""
        block = {"attributes": {}, "blocks": {}}
        getters = {name: kind for kind, name in GETTER.findall(body)}
        members = {name: (kind, is_set == "true") for kind, name, is_set in MEMBER.findall(body)}
        for name, computed, optional, required in FLAGS.findall(body):
            entry = given.get(name)
            if entry and entry["is_block"]:
                if depth < DEPTH_MAX and name != "timeouts":
                    block["blocks"][name] = self.nested(entry, required == "true", depth)
                continue
            flags = {"computed": computed == "true", "optional": optional == "true", "required": required == "true"}
            if entry:
                kind = given_type(entry)
            elif name in members:
                kind = self.computed_type(*members[name])
            else:
                kind = {"String": "string", "Number": "number", "Boolean": "bool", "List": ["list", "string"]}.get(
                    getters.get(name), "string"
                )
            block["attributes"][name] = {"type": kind, **flags}
        return block

    def nested(self, entry, is_required, depth):
        structure = re.sub(r"(List|Map|Set)$", "", entry["class"])
        function = structure[0].lower() + structure[1:]
        body = self.classes.get(f"{structure}OutputReference", "")
        # One block only: its value isn't mapped over a list.
        is_single = "listMapper" not in entry["value"]
        mode = {"set": "set", "struct": "single"}.get(entry["kind"], "list")
        return {
            "mode": mode,
            "max": 1 if is_single and mode != "single" else 0,
            "min": 1 if is_required and mode != "single" else 0,
            "block": self.block(body, self.functions.get(function, {}), depth + 1),
        }

    def computed_type(self, kind, is_set):
        """The type of an attribute that only the provider sets."""
        if kind.endswith("Map") and kind in ("StringMap", "NumberMap", "BooleanMap", "AnyMap"):
            return ["map", {"StringMap": "string", "NumberMap": "number", "BooleanMap": "bool"}.get(kind, "dynamic")]
        body = self.classes.get(f"{kind.removesuffix('List')}OutputReference")
        if body is None:
            return "dynamic"
        fields = self.block(body, {}, DEPTH_MAX)["attributes"]
        return ["set" if is_set else "list", ["object", {name: field["type"] for name, field in fields.items()}]]


def attributes(text):
    return {
        name: {"value": value, "is_block": is_block == "true", "kind": kind, "class": storage}
        for name, value, is_block, kind, storage in ATTRIBUTE.findall(text)
    }


def given_type(entry):
    """The type of an attribute that can be written."""
    storage = entry["class"]
    if storage in SIMPLE:
        return SIMPLE[storage]
    of, collection = re.fullmatch(r"(string|number|boolean|any)(List|Map|Set|MapList|ListMap)", storage).groups()
    if entry["kind"] in ("set", "list", "map"):
        return [entry["kind"], SIMPLE[of]]
    return "dynamic" if len(collection) > 4 else [collection.lower(), SIMPLE[of]]
