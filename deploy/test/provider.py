"""A stand-in for hashicorp/aws that knows its schema and does nothing: Terraform checks names, types and references.

Started by Terraform as the provider's program (plugin protocol 6). OVERHEARD_SCHEMA names the file with the schema.
"""

import base64
import json
import os
import tempfile
from concurrent import futures

import grpc
from tf.gen import grpc_controller_pb2 as controller
from tf.gen import grpc_controller_pb2_grpc as controller_rpc
from tf.gen import grpc_stdio_pb2_grpc as stdio_rpc
from tf.gen import tfplugin_pb2 as plugin
from tf.gen import tfplugin_pb2_grpc as plugin_rpc
from tf.runner import _self_signed_cert

NESTING = {
    "list": plugin.Schema.NestedBlock.LIST,
    "set": plugin.Schema.NestedBlock.SET,
    "single": plugin.Schema.NestedBlock.SINGLE,
}
TAGS = {"attributes": {"tags": {"type": ["map", "string"], "optional": True}}, "blocks": {}}
PROVIDER = {
    "attributes": {"region": {"type": "string", "optional": True}},
    "blocks": {"default_tags": {"mode": "list", "max": 1, "min": 0, "block": TAGS}},
}


def block_of(block):
    attributes = [
        plugin.Schema.Attribute(
            name=name,
            type=json.dumps(attribute["type"]).encode(),
            required=attribute.get("required", False),
            optional=attribute.get("optional", False),
            computed=attribute.get("computed", False),
        )
        for name, attribute in block["attributes"].items()
    ]
    blocks = [
        plugin.Schema.NestedBlock(
            type_name=name,
            block=block_of(nested["block"]),
            nesting=NESTING[nested["mode"]],
            max_items=nested["max"],
            min_items=nested["min"],
        )
        for name, nested in block["blocks"].items()
    ]
    return plugin.Schema.Block(attributes=attributes, block_types=blocks)


class Provider(plugin_rpc.ProviderServicer):
    def __init__(self, schema):
        self.schema = schema

    def GetMetadata(self, request, context):
        names = [plugin.GetMetadata.ResourceMetadata(type_name=name) for name in self.schema["resource"]]
        return plugin.GetMetadata.Response(resources=names)

    def GetProviderSchema(self, request, context):
        of = {kind: {name: plugin.Schema(block=block_of(block)) for name, block in blocks.items()}
              for kind, blocks in self.schema.items()}
        return plugin.GetProviderSchema.Response(
            provider=plugin.Schema(block=block_of(PROVIDER)),
            resource_schemas=of["resource"],
            data_source_schemas=of["data"],
        )

    def ValidateProviderConfig(self, request, context):
        return plugin.ValidateProviderConfig.Response()

    def ValidateResourceConfig(self, request, context):
        return plugin.ValidateResourceConfig.Response()

    def ValidateDataResourceConfig(self, request, context):
        return plugin.ValidateDataResourceConfig.Response()

    def ConfigureProvider(self, request, context):
        return plugin.ConfigureProvider.Response()

    def UpgradeResourceState(self, request, context):
        state = plugin.DynamicValue(json=request.raw_state.json)
        return plugin.UpgradeResourceState.Response(upgraded_state=state)

    def StopProvider(self, request, context):
        return plugin.StopProvider.Response()


class Controller(controller_rpc.GRPCControllerServicer):
    is_stopped = False

    def Shutdown(self, request, context):
        self.is_stopped = True
        return controller.Empty()


class Stdio(stdio_rpc.GRPCStdioServicer):
    def StreamStdio(self, request, context):
        return iter([])


def main():
    with open(os.environ["OVERHEARD_SCHEMA"]) as file:
        schema = json.load(file)
    server = grpc.server(futures.ThreadPoolExecutor(8), options=[("grpc.max_send_message_length", -1)])
    stop = Controller()
    plugin_rpc.add_ProviderServicer_to_server(Provider(schema), server)
    controller_rpc.add_GRPCControllerServicer_to_server(stop, server)
    stdio_rpc.add_GRPCStdioServicer_to_server(Stdio(), server)
    with tempfile.TemporaryDirectory() as folder:
        certificate, credentials = _self_signed_cert()
        server.add_secure_port(f"unix://{folder}/socket", credentials)
        server.start()
        encoded = base64.b64encode(certificate).decode().rstrip("=")
        print(f"1|6|unix|{folder}/socket|grpc|{encoded}", flush=True)
        while server.wait_for_termination(0.05):
            if stop.is_stopped:
                break


if __name__ == "__main__":
    main()
