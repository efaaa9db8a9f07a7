# SPDX-License-Identifier: Apache-2.0
"""Clients without .proto files: what the server says of its services, and whether it is what TensorFlow Serving's say."""
import json
import os
import subprocess

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from everlit import LIMIT_S, MODELS, ROOT, Server, digits, np, tensor_proto
from tensorflow_serving.apis import model_service_pb2, prediction_service_pb2, session_service_pb2

GRPCURL = os.environ.get("EVERLIT_GRPCURL", str(ROOT / "build/test-tools/grpcurl"))
SERVICES = {"tensorflow.serving.PredictionService", "tensorflow.serving.ModelService", "tensorflow.serving.SessionService",
            "grpc.health.v1.Health",
            "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"}

# Of these, what is looked at here.
PARTS = {"FileSystemStoragePathSourceConfig", "RunOptions", "RunMetadata"}


@pytest.fixture(scope="module")
def server():
    with Server("--model_name=digits", "--engine=openvino", f"--model_base_path={MODELS / 'digits'}") as server:
        server.wait_serving("digits", 2)
        yield server


@pytest.fixture(scope="module")
def database(server):
    with server.channel() as channel:
        yield ProtoReflectionDescriptorDatabase(channel)


def test_every_service_is_listed_and_described(database):
    assert SERVICES <= set(database.get_services())
    pool = descriptor_pool.DescriptorPool(database)
    for name in database.get_services():
        for method in pool.FindServiceByName(name).methods:
            assert method.input_type is not None and method.output_type is not None


def flat(message, prefix=""):
    """{full name of a field or value: what it is} of a DescriptorProto or EnumDescriptorProto."""
    name = f"{prefix}.{message.name}"
    if isinstance(message, descriptor_pb2.EnumDescriptorProto):
        return {f"{name}.{value.name}": value.number for value in message.value}
    found = {}
    for field in message.field:
        oneof = message.oneof_decl[field.oneof_index].name if field.HasField("oneof_index") else ""
        found[f"{name}.{field.name}"] = (field.number, field.label, field.type, field.type_name, oneof)
    for inner in [*message.nested_type, *message.enum_type]:
        found.update(flat(inner, name))
    return found


def test_messages_are_those_of_tensorflow_serving(database):
    """Each of ours that they have: same file, every field with its number and type. Ours alone: what is named here."""
    theirs, services = {}, {}
    for module in (prediction_service_pb2, model_service_pb2, session_service_pb2):
        todo = [module.DESCRIPTOR]
        while todo:
            file = descriptor_pb2.FileDescriptorProto()
            descriptor = todo.pop()
            descriptor.CopyToProto(file)
            todo += descriptor.dependencies
            for message in [*file.message_type, *file.enum_type]:
                theirs[f"{file.package}.{message.name}"] = (file.name, flat(message, file.package))
            for service in file.service:
                services[f"{file.package}.{service.name}"] = (file.name, str(service))
    pool = descriptor_pool.DescriptorPool(database)
    reached, todo = {}, [pool.FindServiceByName(name).file for name in SERVICES if name.startswith("tensorflow")]
    while todo:
        descriptor = todo.pop()
        if descriptor.name not in reached:
            reached[descriptor.name] = descriptor
            todo += descriptor.dependencies
    compared = 0
    for descriptor in reached.values():
        file = descriptor_pb2.FileDescriptorProto()
        descriptor.CopyToProto(file)
        for service in file.service:
            assert services[f"{file.package}.{service.name}"] == (file.name, str(service))
        for message in [*file.message_type, *file.enum_type]:
            name = f"{file.package}.{message.name}"
            if message.name.startswith("Everlit") or name == "tensorflow.serving.BatchingParameters":
                continue  # ours, and what ours holds: no message of theirs that a client sees does
            ours = flat(message, file.package)
            ours.pop("tensorflow.serving.ModelConfig.update", None)
            expected = theirs[name]
            if message.name in PARTS:
                expected = (expected[0], {key: value for key, value in expected[1].items() if key in ours})
            assert (file.name, ours) == expected, name
            compared += len(ours)
    assert compared > 250


def test_a_request_made_of_what_reflection_says_is_answered(server, database):
    pool = descriptor_pool.DescriptorPool(database)
    method = pool.FindServiceByName("tensorflow.serving.PredictionService").FindMethodByName("Predict")
    request = message_factory.GetMessageClass(method.input_type)()
    text_format.Parse('model_spec { name: "digits" version { value: 2 } }', request)
    image = digits()[0][:1]
    request.inputs["input"].MergeFromString(tensor_proto(image).SerializeToString())
    with server.channel() as channel:
        ask = channel.unary_unary("/tensorflow.serving.PredictionService/Predict",
                                  request_serializer=type(request).SerializeToString,
                                  response_deserializer=message_factory.GetMessageClass(method.output_type).FromString)
        answer = ask(request, timeout=LIMIT_S)
    assert answer.model_spec.version.value == 2
    assert len(answer.outputs["prediction"].float_val) == 10


def test_what_is_not_there_is_not_found(database):
    for find, name in ((database.FindFileByName, "no/such.proto"), (database.FindFileContainingSymbol, "no.Such"),
                       (database.FindFileContainingSymbol, "tensorflow.serving.PredictRequestx"),
                       (database.FindFileContainingSymbol, "")):
        with pytest.raises(KeyError):
            find(name)
    assert database.FindFileContainingSymbol("tensorflow.serving.PredictRequest.inputs").name == \
        "tensorflow_serving/apis/predict.proto"
    assert list(database.FindAllExtensionNumbers("tensorflow.serving.PredictRequest")) == []


def grpcurl(server, *arguments):
    return subprocess.run([GRPCURL, "-plaintext", *arguments[:-1], f"localhost:{server.grpc_port}",
                           *arguments[-1].split(" ")], stdout=subprocess.PIPE, timeout=LIMIT_S, check=True, text=True).stdout


@pytest.mark.skipif(not os.path.exists(GRPCURL), reason=f"no {GRPCURL}: install Go, then type `tools/setup --test`")
def test_grpcurl_needs_no_proto_files(server):
    assert SERVICES <= set(grpcurl(server, "list").split())
    assert "rpc Predict ( .tensorflow.serving.PredictRequest )" in grpcurl(
        server, "describe tensorflow.serving.PredictionService")
    image = digits()[0][0].tolist()
    request = {"modelSpec": {"name": "digits", "version": "2"},
               "inputs": {"input": {"dtype": "DT_FLOAT", "tensorShape": {"dim": [{"size": 1}, {"size": len(image)}]},
                                    "floatVal": image}}}
    answer = json.loads(grpcurl(server, "-d", json.dumps(request), "tensorflow.serving.PredictionService/Predict"))
    assert np.asarray(answer["outputs"]["prediction"]["floatVal"]).shape == (10,)
    status = json.loads(grpcurl(server, "-d", '{"model_spec": {"name": "digits"}}',
                                "tensorflow.serving.ModelService/GetModelStatus"))
    assert status["model_version_status"][0]["state"] == "AVAILABLE"
    metadata = json.loads(grpcurl(server, "-d", '{"modelSpec": {"name": "digits"}, "metadataField": ["signature_def"]}',
                                  "tensorflow.serving.PredictionService/GetModelMetadata"))
    assert "serving_default" in metadata["metadata"]["signature_def"]["signatureDef"]
