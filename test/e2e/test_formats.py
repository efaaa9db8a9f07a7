# SPDX-License-Identifier: Apache-2.0
"""Models that are no saved_model.pb: text, TensorFlow Lite, ONNX. Answers are checked, and who gave them."""
import json
import shutil

import pytest

from everlit import (LIMIT_S, MODELS, ROOT, Server, digits, ndarray, np, predict_request,
                     prediction_service_pb2_grpc, wait_for)

FORMATS = ROOT / "test" / "data" / "models"


def config(*models):
    return "model_config_list {\n%s}\n" % "".join(
        f'  config {{ name: "{name}" base_path: "$MODELS/{name}" model_platform: "tensorflow" }}\n' for name in models)


@pytest.fixture(scope="module")
def server():
    models = ("lite", "lite_bare", "lite_beside", "onnx", "text")
    server = Server(config=config(*models))
    for name in models:
        server.put(name, 1, FORMATS / name / "1")
    with server:
        for name in models:
            server.wait_state(name, 1, "serving")
        yield server


def ask(server, model, inputs, signature=""):
    with server.channel() as channel:
        return prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(
            predict_request(model, inputs, signature=signature), timeout=LIMIT_S)


@pytest.mark.parametrize("model,output,engine", [
    ("lite", "y", "openvino"),  # declares its signatures
    ("lite_bare", "Identity", "openvino"),  # declares none: its tensors' names
    ("lite_beside", "y", None),  # a SavedModel, and a model.tflite that nobody asked for
    ("text", "y", "tensorflow"),
])
def test_half_plus_two_in_each_form(server, model, output, engine):
    answer = ask(server, model, {"x": np.array([1, 2, 5], np.float32)})
    assert list(answer.outputs) == [output]
    np.testing.assert_allclose(ndarray(answer.outputs[output]), [2.5, 3.0, 4.5], rtol=1e-6)
    version = server.version(model, 1)
    assert engine is None or version["engine"] == engine, version


def test_onnx_tells_held_out_digits_apart(server):
    images, labels = digits()
    answers = ndarray(ask(server, "onnx", {"input": images}).outputs["prediction"])
    assert (answers.argmax(axis=1) == labels).mean() > 0.98
    status, body = server.rest("GET", "/v1/models/onnx/metadata")
    assert status == 200
    signature = json.loads(body)["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["inputs"]["input"]["tensor_shape"]["dim"] == [{"size": "-1", "name": ""}, {"size": "784", "name": ""}]


def test_a_flag_prefers_tensorflow_lite():
    server = Server("--prefer_tflite_model", config=config("lite_beside"))
    server.put("lite_beside", 1, FORMATS / "lite_beside" / "1")
    with server:
        server.wait_state("lite_beside", 1, "serving")
        answer = ask(server, "lite_beside", {"x": np.array([1], np.float32)})
        np.testing.assert_allclose(ndarray(answer.outputs["y"]), [3.5], rtol=1e-6)


def test_forms_take_turns_and_what_is_cut_off_is_waited_for(server):
    """From ONNX to a SavedModel and back: it is one model to its clients. A copy that stopped half way never serves."""
    images, _ = digits()
    before = ndarray(ask(server, "onnx", {"input": images}).outputs["prediction"])
    cut = server.base("onnx") / "2"
    cut.mkdir()
    whole = (FORMATS / "onnx" / "1" / "model.onnx").read_bytes()
    (cut / "model.onnx").write_bytes(whole[:len(whole) // 2])
    shutil.copy(FORMATS / "onnx" / "1" / "w1.bin", cut)
    wait_for(server.try_status, lambda: server.version("onnx", 2) is not None)  # seen before the next one comes
    server.put("onnx", 3, MODELS / "digits" / "2")
    server.wait_state("onnx", 3, "serving")
    after = ndarray(ask(server, "onnx", {"input": images}).outputs["prediction"])
    np.testing.assert_allclose(before, after, atol=1e-4)
    cut_off = server.version("onnx", 2)
    assert cut_off is None or cut_off["state"] != "serving"
    server.remove("onnx", 3)
    server.wait_state("onnx", 1, "serving")


def test_an_engine_that_does_not_read_the_form_says_so():
    server = Server("--engine=tensorflow", config=config("lite"))
    server.put("lite", 1, FORMATS / "lite" / "1")
    with server:
        server.wait_state("lite", 1, "quarantined")
        assert "engine tensorflow: does not read" in server.version("lite", 1)["reason"]
        assert "model.tflite" in server.version("lite", 1)["reason"]


def test_openvino_when_forced_serves_what_it_can_and_in_other_shapes_than_declared():
    """Its clients' bodies are TensorFlow Serving's example for half_plus_two, whose input is declared [?,1]."""
    forced = Server("--engine=openvino", config=config("half", "pair"))
    forced.put("half", 3, ROOT / "test/conformance/models/half/3")
    forced.put("pair", 1, ROOT / "test/conformance/models/pair/1")
    with forced:
        forced.wait_state("half", 3, "serving")
        for instances, rows in (([1.0, 2.0, 5.0], [4.5, 5.0, 6.5]), ([[2.0]], [[5.0]]), ([[1.0, 2.0]], [[4.5, 5.0]]),
                                ([1.0], [4.5]), ([[[2.0]]], [[[5.0]]])):
            status, body = forced.rest("POST", "/v1/models/half:predict", {"instances": instances})
            assert (status, json.loads(body)) == (200, {"predictions": rows}), instances
        forced.wait_state("pair", 1, "serving")
        rows = [{"a": [1.0, 2.0], "b": 3.0}]
        status, body = forced.rest("POST", "/v1/models/pair:predict", {"signature_name": "total", "instances": rows})
        assert (status, json.loads(body)) == (200, {"predictions": [6.0]})
        status, body = forced.rest("POST", "/v1/models/pair:predict", {"instances": rows})
        texts = {"text": "6.00", "text_bytes": {"b64": "Ni4wMA=="}}  # made beside OpenVINO
        assert (status, json.loads(body)) == (200, {"predictions": [{"total": 6.0, "scaled": [3.0, 6.0], **texts}]})
        status, body = forced.rest("GET", "/v1/models/pair/metadata")
        assert set(json.loads(body)["metadata"]["signature_def"]["signature_def"]) >= {"serving_default", "total"}
