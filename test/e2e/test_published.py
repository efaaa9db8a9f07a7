# SPDX-License-Identifier: Apache-2.0
"""Models that others made and published inside Python packages, in each form and on each engine, against TensorFlow's own answers
(test/published/record.py): a network of sounds, one of words (strings, tables, an Estimator of 2021), one of graphs."""
import sys

import pytest

from everlit import LIMIT_S, ROOT, Server, ndarray, np, predict_request, prediction_service_pb2_grpc
from everlit_protos import classification_pb2

sys.path.insert(0, str(ROOT / "test" / "published"))
from inputs import ASKED, CLASSIFIED, example, kept  # noqa: E402

PUBLISHED = ROOT / "build" / "published"
ANSWERS = ROOT / "test" / "published" / "answers.npz"
# What the exporter to ONNX called them.
ONNX = {"input_2": "serving_default_input_2:0", "contour": "StatefulPartitionedCall:0",
        "note": "StatefulPartitionedCall:1", "onset": "StatefulPartitionedCall:2"}
# (model, form, engine asked for, engine that serves, how near). The sounds' network takes logarithms of what is nearly nothing:
# TensorFlow differs from itself by 4e-4, from process to process.
SERVED = [
    ("basic-pitch", "saved_model", "tensorflow", "tensorflow", 1e-3),
    ("basic-pitch", "saved_model", "openvino", "openvino", 3e-3),
    ("basic-pitch", "onnx", "auto", "openvino", 3e-3),
    ("basic-pitch", "tflite", "auto", "openvino", 3e-3),
    ("guesslang", "saved_model", "auto", "tensorflow", 1e-6),
    ("nmrgnn", "saved_model", "auto", "tensorflow", 1e-6),
]
REFUSED = ("guesslang", "saved_model", "openvino")

pytestmark = pytest.mark.skipif(not PUBLISHED.is_dir(), reason=f"no {PUBLISHED}: type `tools/setup --test`")


def name(model, form, engine):
    return f"{model}-{form}-{engine}"


@pytest.fixture(scope="module")
def server():
    with Server(config="model_config_list {\n%s}\n" % "".join(
            f'config {{ name: "{name(model, form, engine)}" base_path: "{PUBLISHED / model / form}" '
            f'model_platform: "tensorflow" update {{ engine: "{engine}" }} }}\n'
            for model, form, engine in [row[:3] for row in SERVED] + [REFUSED])) as server:
        yield server


@pytest.mark.parametrize("model,form,asked_for,engine,near", SERVED, ids=[name(*row[:3]) for row in SERVED])
def test_answers_are_tensorflows(server, model, form, asked_for, engine, near):
    served = name(model, form, asked_for)
    version = server.wait_state(served, 1, "serving", "quarantined")
    assert (version["state"], version["engine"]) == ("serving", engine), version
    called = (lambda key: ONNX[key]) if form == "onnx" else (lambda key: key)
    recorded = np.load(ANSWERS)
    with server.channel() as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        for i, (signature, inputs) in enumerate(ASKED[model]):
            answer = stub.Predict(predict_request(
                served, {called(key): value for key, value in inputs.items()},
                signature=signature if form == "saved_model" else ""), timeout=LIMIT_S)
            keys = [key.split("/")[2] for key in recorded if key.startswith(f"{model}/{i}/")]
            assert sorted(answer.outputs) == sorted(called(key) for key in keys)
            for key in keys:
                output, expected = kept(model, ndarray(answer.outputs[called(key)])), recorded[f"{model}/{i}/{key}"]
                if expected.dtype.kind == "S":
                    assert output.astype("S").tolist() == expected.tolist(), key
                else:
                    np.testing.assert_allclose(output, expected, rtol=near, atol=near, err_msg=key)


def test_classify_gives_the_examples_to_the_model_as_they_are(server):
    served = name("guesslang", "saved_model", "auto")
    server.wait_state(served, 1, "serving")
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name, request.model_spec.signature_name = served, "classification"
    for text in CLASSIFIED:
        made = request.input.example_list.examples.add()
        made.features.feature["content"].bytes_list.value.append(text)
        assert made.SerializeToString() == example(text)
    with server.channel() as channel:
        answer = prediction_service_pb2_grpc.PredictionServiceStub(channel).Classify(request, timeout=LIMIT_S)
    recorded = np.load(ANSWERS)
    scores, classes = recorded["guesslang/2/scores"], recorded["guesslang/2/classes"]
    assert [[one.label.encode() for one in row.classes] for row in answer.result.classifications] == classes.tolist()
    np.testing.assert_allclose([[one.score for one in row.classes] for row in answer.result.classifications], scores, rtol=1e-6)


def test_what_an_engine_cannot_is_said(server):
    version = server.wait_state(name(*REFUSED), 1, "quarantined")
    assert "the op TensorListFromTensor of DT_STRING runs neither in OpenVINO nor beside it" in version["reason"]
    reason = server.version(name("nmrgnn", "saved_model", "auto"), 1)["engine_reason"]
    assert reason.startswith("openvino differs from tensorflow by"), reason
