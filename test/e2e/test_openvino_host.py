# SPDX-License-Identifier: Apache-2.0
"""What the plug-in for OpenVINO runs itself beside the network (models/recipes/host_ops.py), against TensorFlow's own answers and errors,
and exports whose tables, sparse tensors and strings OpenVINO does not take."""
import base64
import json

import grpc
import pytest

from everlit import LIMIT_S, ROOT, Server, ndarray, np, predict_request, prediction_service_pb2_grpc

FORMATS = ROOT / "test" / "data" / "models"
NAMES = ("host_ops", "host_tables", "tf1")


@pytest.fixture(scope="module")
def server():
    server = Server("--engine=openvino", config="model_config_list {\n%s}\n" % "".join(
        f'config {{ name: "{name}" base_path: "$MODELS/{name}" model_platform: "tensorflow" }}\n' for name in NAMES))
    for name in NAMES:
        server.put(name, 1, FORMATS / name / "1")
    with server:
        for name in NAMES:
            version = server.wait_state(name, 1, "serving", "quarantined")
            assert version["state"] == "serving", version
        yield server


def array(plain):
    if plain["dtype"] == "string":
        values = np.empty(len(plain["values"]), object)
        values[:] = [base64.b64decode(value) for value in plain["values"]]
        return values.reshape(plain["shape"])
    if plain["dtype"] == "bfloat16":
        bits = np.frombuffer(base64.b64decode(plain["data"]), np.uint16).astype(np.uint32) << 16
        return bits.view(np.float32).reshape(plain["shape"])
    return np.frombuffer(base64.b64decode(plain["data"]), plain["dtype"]).reshape(plain["shape"])


def found(proto):
    if proto.dtype == 14:  # bfloat16, which NumPy does not have
        bits = np.array(proto.half_val, np.uint32) << 16
        return bits.view(np.float32).reshape([dim.size for dim in proto.tensor_shape.dim])
    return ndarray(proto)


def ask(server, name, case):
    """Outputs, or the text of the error."""
    with server.channel() as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        try:
            return stub.Predict(predict_request(name, {key: array(plain) for key, plain in case["inputs"].items()}, case["signature"]),
                                timeout=LIMIT_S).outputs
        except grpc.RpcError as error:
            return error.details()


def difference(case, answer):
    if "error" in case or isinstance(answer, str):
        wanted = case.get("error", "an answer")
        return None if answer == wanted else f"{answer!r}, {wanted!r} is expected"
    for key, plain in case["outputs"].items():
        wanted, output = array(plain), found(answer[key])
        if output.shape != wanted.shape or output.dtype != wanted.dtype:
            return f"{key}: {output.dtype} {output.shape}, {wanted.dtype} {wanted.shape} is expected"
        same = (output == wanted).all() if wanted.dtype == object else np.allclose(output, wanted, 1e-5, 1e-7, equal_nan=True)
        if not same:
            return f"{key}: {output!r}, {wanted!r} is expected"
    return None


@pytest.mark.parametrize("name, least", [("host_ops", 80), ("host_tables", 1)])
def test_every_op_answers_as_tensorflow(server, name, least):
    cases = json.loads((FORMATS / name / "answers.json").read_text())["cases"]
    assert len(cases) >= least
    wrong = [f"{number} {case['signature']}: {why}" for number, case in enumerate(cases)
             if (why := difference(case, ask(server, name, case)))]
    assert not wrong, "\n".join(wrong)


def test_a_table_before_a_network_answers_as_tensorflow(server):
    case = json.loads((FORMATS / "tf1" / "answers.json").read_text())["cases"][0]
    place = np.array([value.encode() for value in case["inputs"]["place"]["values"]], object)
    with server.channel() as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        answer = stub.Predict(predict_request("tf1", {"place": place}), timeout=LIMIT_S).outputs
    assert ndarray(answer["index"]).tolist() == case["outputs"]["index"]["values"]
    assert ndarray(answer["height"]).tolist() == case["outputs"]["height"]["values"]


def test_sizes_that_do_not_go_together_are_refused_and_not_computed_with(server):
    case = {"signature": "between", "inputs": {
        "x": json.loads((FORMATS / "host_ops" / "answers.json").read_text())["cases"][-1]["inputs"]["x"],
        "w": {"dtype": "float32", "shape": [3, 1], "data": base64.b64encode(np.ones(3, np.float32).tobytes()).decode()}}}
    with server.channel() as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        request = predict_request("host_ops", {key: array(plain) for key, plain in case["inputs"].items()}, "between")
        with pytest.raises(grpc.RpcError) as refused:
            stub.Predict(request, timeout=LIMIT_S)
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT, refused.value.details()
