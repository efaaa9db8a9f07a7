# SPDX-License-Identifier: Apache-2.0
"""Classify, Regress and MultiInference with tf.Examples, asked with the real client and over REST.

`half` and `labels` are the conformance test's models: half parses Examples with the features x and x2; labels has `age`,
`visits` and `country` in, three classes out.
"""
import json
import threading

import pytest

from everlit import LIMIT_S, ROOT, Server, grpc, prediction_service_pb2_grpc
from everlit_protos import classification_pb2, inference_pb2, regression_pb2

CONFORMANCE = ROOT / "test" / "conformance" / "models"
CONFIG = """
model_config_list {
  config { name: "half" base_path: "$MODELS/half" model_platform: "tensorflow"
           model_version_policy { all {} } update { engine: "tensorflow" } }
  config { name: "labels" base_path: "$MODELS/labels" model_platform: "tensorflow" update { engine: "tensorflow" } }
}
"""
CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"


@pytest.fixture(scope="module")
def server():
    server = Server(config=CONFIG)
    for version in (1, 3):
        server.put("half", version, CONFORMANCE / "half" / str(version))
    server.put("labels", 1, CONFORMANCE / "labels" / "1")
    with server:
        for version in (1, 3):
            server.wait_state("half", version, "serving")
        yield server


@pytest.fixture
def stub(server):
    with server.channel() as channel:
        yield prediction_service_pb2_grpc.PredictionServiceStub(channel)


def add(examples, **features):
    example = examples.add()
    for name, value in features.items():
        feature = example.features.feature[name]
        if isinstance(value, float):
            feature.float_list.value.append(value)
        elif isinstance(value, int):
            feature.int64_list.value.append(value)
        else:
            feature.bytes_list.value.append(value)


def regress(version=None, signature="regress_x_to_y", values=(1.0,)):
    request = regression_pb2.RegressionRequest()
    request.model_spec.name, request.model_spec.signature_name = "half", signature
    if version is not None:
        request.model_spec.version.value = version
    for x in values:
        add(request.input.example_list.examples, x=x)
    return request


def test_classify_gives_labels_and_scores_and_the_context_is_under_every_example(stub):
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name = "labels"
    add(request.input.example_list_with_context.examples, age=30.0, visits=4, country=b"nl")
    add(request.input.example_list_with_context.examples, age=7.5)
    request.input.example_list_with_context.context.features.feature["country"].bytes_list.value.append(b"fr")
    answer = stub.Classify(request, timeout=LIMIT_S)
    assert [[(c.label, c.score) for c in one.classes] for one in answer.result.classifications] == [
        [("old-nl", 30.0), ("loyal-nl", 4.0), ("new-nl", 26.0)], [("old-fr", 7.5), ("loyal-fr", 0.0), ("new-fr", 7.5)]]
    assert (answer.model_spec.name, answer.model_spec.version.value) == ("labels", 1)
    assert answer.model_spec.signature_name == "serving_default"


@pytest.mark.parametrize("version,plus", [(1, 2.0), (3, 4.0), (None, 4.0)])
def test_regress_asks_the_version_that_is_meant(stub, version, plus):
    answer = stub.Regress(regress(version, values=(1.0, 3.0)), timeout=LIMIT_S)
    assert [one.value for one in answer.result.regressions] == [0.5 + plus, 1.5 + plus]
    assert answer.model_spec.version.value == (version or 3)


def test_rest_says_the_same_as_grpc(server, stub):
    status, body = server.rest("POST", "/v1/models/half:regress", {
        "signature_name": "regress_x_to_y", "examples": [{"x": 0.1 * i} for i in range(100)]})
    assert status == 200
    answer = stub.Regress(regress(values=[0.1 * i for i in range(100)]), timeout=LIMIT_S)
    assert json.loads(body)["results"] == pytest.approx([one.value for one in answer.result.regressions], rel=1e-6)
    status, body = server.rest("POST", "/v1/models/labels/versions/1:classify", {"examples": [{"age": 2.0}]})
    assert (status, json.loads(body)) == (200, {"results": [[["old-?", 2.0], ["loyal-?", 0.0], ["new-?", 2.0]]]})


def test_multi_inference_answers_all_tasks_in_their_order_by_one_version(stub):
    request = inference_pb2.MultiInferenceRequest()
    for signature, method in (("classify_x_to_y", CLASSIFY), ("regress_x_to_y", REGRESS)):
        task = request.tasks.add(method_name=method)
        task.model_spec.name, task.model_spec.signature_name = "half", signature
        task.model_spec.version.value = 1
    add(request.input.example_list.examples, x=1.0)
    first, second = stub.MultiInference(request, timeout=LIMIT_S).results
    assert [c.score for c in first.classification_result.classifications[0].classes] == [2.5]
    assert [one.value for one in second.regression_result.regressions] == [2.5]
    assert [r.model_spec.signature_name for r in (first, second)] == ["classify_x_to_y", "regress_x_to_y"]
    assert {r.model_spec.version.value for r in (first, second)} == {1}


def multi(*tasks):
    request = inference_pb2.MultiInferenceRequest()
    for name, signature, method in tasks:
        task = request.tasks.add(method_name=method)
        task.model_spec.name, task.model_spec.signature_name = name, signature
    add(request.input.example_list.examples, x=1.0)
    return request


@pytest.mark.parametrize("tasks,code,text", [
    ((), grpc.StatusCode.INVALID_ARGUMENT, "ModelSpec has no name specified."),
    ((("half", "regress_x_to_y", REGRESS), ("labels", "regress", REGRESS)), grpc.StatusCode.INVALID_ARGUMENT,
     "All ModelSpecs in a MultiInferenceRequest must access the same model name."),
    ((("half", "regress_x_to_y", REGRESS),) * 2, grpc.StatusCode.INVALID_ARGUMENT,
     "Duplicate evaluation of signature: regress_x_to_y"),
    ((("half", "regress_x_to_y", "mine"),), grpc.StatusCode.UNIMPLEMENTED, "Unsupported signature method_name: mine"),
])
def test_multi_inference_refuses_in_their_words(stub, tasks, code, text):
    with pytest.raises(grpc.RpcError) as caught:
        stub.MultiInference(multi(*tasks), timeout=LIMIT_S)
    assert (caught.value.code(), caught.value.details()) == (code, text)


def test_a_message_that_is_none_and_an_empty_one_are_refused(server, stub):
    with server.channel() as channel:
        raw = channel.unary_unary("/tensorflow.serving.PredictionService/Classify")
        with pytest.raises(grpc.RpcError) as caught:
            raw(b"\x12\x04\x0a\x02\x0a\x05", timeout=LIMIT_S)
        assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.INTERNAL, "")
        with pytest.raises(grpc.RpcError) as caught:
            raw(b"", timeout=LIMIT_S)
        assert caught.value.details() == "Missing ModelSpec"
    with pytest.raises(grpc.RpcError) as caught:
        stub.Regress(regress(values=()), timeout=LIMIT_S)
    assert caught.value.details() == "Input is empty."


def test_many_clients_at_once_and_those_that_go_away(server):
    failed = []

    def client(number):
        with server.channel() as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            for i in range(50):
                x = float(number * 50 + i)
                stub.MultiInference.future(multi(("half", "regress_x_to_y", REGRESS),
                                                 ("half", "classify_x_to_y", CLASSIFY))).cancel()
                value = stub.Regress(regress(values=(x,)), timeout=LIMIT_S).result.regressions[0].value
                if value != x / 2 + 4:
                    failed.append((x, value))
    threads = [threading.Thread(target=client, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
