# SPDX-License-Identifier: Apache-2.0
"""One server, nothing changes: answers are right, over every surface, asked with the real clients."""
import base64
import json

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from everlit import (LIMIT_S, MODELS, ROOT, Server, digits, get_model_metadata_pb2, get_model_status_pb2, grpc,
                     model_service_pb2_grpc, ndarray, np, predict_request, prediction_service_pb2_grpc)

CONFIG = """
model_config_list {
  config { name: "digits" base_path: "$MODELS/digits" model_platform: "tensorflow"
           model_version_policy { all {} } update { engine: "%s" } }
  config { name: "labels" base_path: "$MODELS/labels" model_platform: "tensorflow" }
  config { name: "half_plus_two" base_path: "$MODELS/half_plus_two" model_platform: "tensorflow" }
}
"""


@pytest.fixture(scope="module", params=["tensorflow", "openvino", "auto"])
def server(request):
    server = Server(config=CONFIG % request.param)
    for model, version in (("digits", 1), ("digits", 2), ("labels", 1), ("half_plus_two", 1)):
        server.put(model, version, MODELS / model / str(version))
    server.engine = request.param
    with server:
        server.wait_state("digits", 1, "serving")
        server.wait_state("digits", 2, "serving")
        yield server


@pytest.fixture
def stub(server):
    with server.channel() as channel:
        yield prediction_service_pb2_grpc.PredictionServiceStub(channel)


@pytest.fixture
def models(server):
    with server.channel() as channel:
        yield model_service_pb2_grpc.ModelServiceStub(channel)


@pytest.mark.parametrize("version,least", [(1, 0.85), (2, 0.98), (None, 0.98)])
def test_held_out_digits_are_told_apart(stub, version, least):
    images, labels = digits()
    answer = stub.Predict(predict_request("digits", {"input": images}, version=version), timeout=LIMIT_S)
    right = (ndarray(answer.outputs["prediction"]).argmax(axis=1) == labels).mean()
    assert right >= least
    assert answer.model_spec.name == "digits"
    assert answer.model_spec.version.value == (version or 2)
    assert answer.model_spec.signature_name == "serving_default"


def test_rest_and_grpc_answer_the_same(server, stub):
    images, _ = digits()
    over_grpc = ndarray(stub.Predict(predict_request("digits", {"input": images[:5]}), timeout=LIMIT_S)
                        .outputs["prediction"])
    status, rows = server.rest("POST", "/v1/models/digits:predict", {"instances": images[:5].tolist()})
    assert status == 200, rows
    assert np.array_equal(np.array(json.loads(rows)["predictions"], np.float32), over_grpc)
    status, columns = server.rest("POST", "/v1/models/digits/versions/2:predict", {"inputs": {"input": images[:5].tolist()}})
    assert status == 200, columns
    assert np.array_equal(np.array(json.loads(columns)["outputs"], np.float32), over_grpc)


def test_the_hidden_layer_is_another_signature(stub):
    images, _ = digits()
    answer = stub.Predict(predict_request("digits", {"input": images[:3]}, signature="features"), timeout=LIMIT_S)
    assert ndarray(answer.outputs["features"]).shape == (3, 128)


def test_recorded_answers_of_tensorflow_come_back(server, stub):
    """Every case that TensorFlow's Python recorded; OpenVINO has no names (it reads no tables)."""
    for name in ("digits-1", "digits-2", "labels-1", "half_plus_two-1"):
        recorded = json.loads((ROOT / f"test/data/expected/{name}.json").read_text())
        for case in recorded["cases"]:
            if server.engine == "openvino" and recorded["model"] == "digits" and case["signature"] == "names":
                continue
            inputs = {key: value(tensor) for key, tensor in case["inputs"].items()}
            answer = stub.Predict(predict_request(recorded["model"], inputs, case["signature"], recorded["version"]),
                                  timeout=LIMIT_S)
            assert set(answer.outputs) == set(case["outputs"])
            for key, tensor in case["outputs"].items():
                expected, found = value(tensor), ndarray(answer.outputs[key])
                assert found.shape == expected.shape
                if expected.dtype == object:
                    assert found.tolist() == expected.tolist()
                else:
                    assert np.allclose(found, expected, rtol=1e-4, atol=1e-4), f"{name}: {case['name']}, {key}"


def value(tensor):
    if tensor["dtype"] == "DT_STRING":
        flat = np.array([base64.b64decode(s) for s in tensor["strings"]] + [None], dtype=object)[:-1]
    else:
        flat = np.frombuffer(base64.b64decode(tensor["data"]), {"DT_FLOAT": np.float32, "DT_INT64": np.int64}[tensor["dtype"]])
    return flat.reshape(tensor["shape"])


def test_words_in_words_out(server, stub):
    status, body = server.rest("POST", "/v1/models/labels:predict", {"instances": ["three", "seven", "no such word"]})
    assert (status, json.loads(body)["predictions"]) == (200, ["drei", "sieben", "unknown"])


@pytest.mark.parametrize("request_,code,text", [
    (predict_request("nothing", {}), grpc.StatusCode.NOT_FOUND, "Servable not found for request: Latest(nothing)"),
    (predict_request("digits", {}, version=9), grpc.StatusCode.NOT_FOUND, "Servable not found for request: Specific(digits, 9)"),
    (predict_request("digits", {}, signature="x"), grpc.StatusCode.FAILED_PRECONDITION, 'Serving signature key "x" not found.'),
    (predict_request("", {}), grpc.StatusCode.INVALID_ARGUMENT, "ModelSpec has no name specified."),
    (predict_request("digits", {"pixels": np.zeros((1, 784), np.float32), "more": np.zeros(1, np.float32)}),
     grpc.StatusCode.INVALID_ARGUMENT,
     "input size does not match signature: 2!=1 len({more,pixels}) != len({input}). Sent extra: {more,pixels}. "
     "Missing but required: {input}."),
])
def test_errors_have_the_words_of_tensorflow_serving(stub, request_, code, text):
    with pytest.raises(grpc.RpcError) as error:
        stub.Predict(request_, timeout=LIMIT_S)
    assert (error.value.code(), error.value.details()) == (code, text)


def test_a_wrong_shape_is_the_clients_error_and_hurts_nobody(server, stub):
    with pytest.raises(grpc.RpcError) as error:
        stub.Predict(predict_request("digits", {"input": np.zeros((1, 7), np.float32)}), timeout=LIMIT_S)
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    status, body = server.rest("POST", "/v1/models/digits:predict", {"instances": [[1.0, 2.0]]})
    assert status == 400 and "error" in json.loads(body)
    assert server.model("digits")["serving"] == 2


def test_bad_json_says_where(server):
    status, body = server.rest("POST", "/v1/models/digits:predict", '{"instances": [1, 2')
    assert status == 400
    assert json.loads(body)["error"].startswith("JSON Parse error: ")


def test_metadata_names_every_signature(server, stub):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "digits"
    answer = stub.GetModelMetadata(request, timeout=LIMIT_S)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert answer.metadata["signature_def"].Unpack(signatures)
    assert answer.model_spec.version.value == 2
    assert {"serving_default", "features", "names"} <= set(signatures.signature_def)
    declared = signatures.signature_def["serving_default"].inputs["input"]
    assert [d.size for d in declared.tensor_shape.dim] == [-1, 784]
    status, body = server.rest("GET", "/v1/models/digits/metadata")
    over_rest = json.loads(body)["metadata"]["signature_def"]["signature_def"]
    assert status == 200 and set(over_rest) == set(signatures.signature_def)
    assert over_rest["serving_default"]["inputs"]["input"]["name"] == declared.name


def test_status_lists_versions_highest_first(server, models):
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "digits"
    answer = models.GetModelStatus(request, timeout=LIMIT_S)
    available = get_model_status_pb2.ModelVersionStatus.State.AVAILABLE
    assert [(v.version, v.state) for v in answer.model_version_status] == [(2, available), (1, available)]
    status, body = server.rest("GET", "/v1/models/half_plus_two")
    assert (status, body.decode()) == (200, """{
 "model_version_status": [
  {
   "version": "1",
   "state": "AVAILABLE",
   "status": {
    "error_code": "OK",
    "error_message": ""
   }
  }
 ]
}
""")


def test_health_knows_the_server_and_each_model(server):
    with server.channel() as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for service in ("", "digits", "PredictionService"):
            answer = health.Check(health_pb2.HealthCheckRequest(service=service), timeout=LIMIT_S)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.RpcError) as error:
            health.Check(health_pb2.HealthCheckRequest(service="nothing"), timeout=LIMIT_S)
        assert error.value.code() == grpc.StatusCode.NOT_FOUND


def test_metrics_count_what_was_answered(server, stub):
    def counted():
        status, body = server.rest("GET", "/metrics")
        assert status == 200
        line = next(x for x in body.decode().splitlines() if x.startswith('everlit_requests_total{model="labels",version="1"}'))
        return int(line.split()[-1])
    before = counted()
    stub.Predict(predict_request("labels", {"label": np.array([b"one"], dtype=object)}), timeout=LIMIT_S)
    assert counted() == before + 1


def test_the_engine_that_was_asked_for_serves_and_auto_says_why(server):
    version = server.version("digits", 2)
    if server.engine == "auto":
        assert version["engine"] in ("tensorflow", "openvino") and version["engine_reason"]
    else:
        assert version["engine"] == server.engine
