# SPDX-License-Identifier: Apache-2.0
"""Warm-up records: every kind is run before a version answers, and one that does not fit keeps the version from serving."""
import json
import shutil

import pytest
import tfrecord
from everlit import ROOT, Server, wait_for
from everlit_protos import prediction_log_pb2, text_format

HALF = ROOT / "test/conformance/models/half/3"
FILE = "assets.extra/tf_serving_warmup_requests"
CONFIG = """model_config_list { config { name: "half" base_path: "$MODELS/half" model_platform: "tensorflow"
  model_version_policy { all {} } update { engine: "%s" } } }"""

PREDICT = """predict_log { request { model_spec { name: "another" version { value: 99 } }
  inputs { key: "x" value { dtype: DT_FLOAT tensor_shape { dim { size: 2 } } float_val: [1, 2] } } } }"""
EXAMPLE = """input { example_list { examples { features { feature { key: "x" value { float_list { value: 2 } } }
  feature { key: "x2" value { float_list { value: 3 } } } } } } }"""
CLASSIFY = 'classify_log { request { model_spec { name: "m" signature_name: "classify_x_to_y" } %s } }' % EXAMPLE
REGRESS = 'regress_log { request { model_spec { name: "m" signature_name: "regress_x_to_y" } %s } }' % EXAMPLE
MULTI = """multi_inference_log { request {
  tasks { model_spec { name: "m" signature_name: "regress_x_to_y" } method_name: "tensorflow/serving/regress" }
  tasks { model_spec { name: "m" signature_name: "classify_x_to_y" } method_name: "tensorflow/serving/classify" } %s } }
  """ % EXAMPLE
SESSION = """session_run_log { request { model_spec { name: "m" } feed { name: "x:0" tensor {
  dtype: DT_FLOAT tensor_shape { dim { size: 1 } } float_val: 1 } } fetch: "y:0" } }"""
STREAMED = "predict_streamed_log { %s }" % (PREDICT[len("predict_log {"):PREDICT.rindex("}")] * 3)  # one for each message
NOTHING = "log_metadata { model_spec { name: 'm' } }"


def records(*texts):
    return [text_format.Parse(text, prediction_log_pb2.PredictionLog()).SerializeToString() for text in texts]


def changed(text, old, new):
    assert old in text
    return text.replace(old, new)


@pytest.fixture(scope="module")
def server():
    with Server("--num_request_iterations_for_warmup=2", config=CONFIG % "tensorflow") as server:
        yield server


def put(server, version, data):
    """A version with that warm-up file: records, or raw bytes."""
    folder = server.folder / f"made-{version}"
    shutil.copytree(HALF, folder)
    (folder / "assets.extra").mkdir(exist_ok=True)
    if isinstance(data, bytes):
        (folder / FILE).write_bytes(data)
    else:
        tfrecord.write(folder / FILE, data)
    server.put("half", version, folder)


def events(server, version, name):
    return [e for e in server.log_events() if e["event"] == name and e.get("version") == version]


def test_every_kind_of_record_is_run_before_the_version_answers(server):
    put(server, 1, records(PREDICT, CLASSIFY, REGRESS, MULTI, SESSION, STREAMED, NOTHING))
    server.wait_state("half", 1, "serving")
    (warmed,) = events(server, 1, "warmed")
    assert "Number of warmup records read: 7." in warmed["reason"]
    order = [e["event"] for e in server.log_events() if e.get("version") == 1]
    assert order.index("warmed") < order.index("probed")


BAD = {
    10: (records(PREDICT, changed(PREDICT, "DT_FLOAT", "DT_STRING")), "INVALID_ARGUMENT",
         "Expects arg[0] to be float but string is provided"),
    11: (records(changed(PREDICT, 'name: "another"', 'name: "m" signature_name: "nowhere"')), "FAILED_PRECONDITION",
         'Serving signature key "nowhere" not found.'),
    12: (records(changed(PREDICT, 'key: "x"', 'key: "z"')), "INVALID_ARGUMENT",
         "input size does not match signature: 1!=1 len({z}) != len({x}). Sent extra: {z}. Missing but required: {x}."),
    13: (records(changed(CLASSIFY, "classify_x_to_y", "nowhere")), "INVALID_ARGUMENT",
         "No signature was found with the name: nowhere"),
    14: (records(changed(CLASSIFY, EXAMPLE, "")), "INVALID_ARGUMENT", "Input is empty."),
    15: (records(changed(MULTI, "tensorflow/serving/regress", "tensorflow/serving/other")), "UNIMPLEMENTED",
         "Unsupported signature method_name: tensorflow/serving/other"),
    16: (records(changed(MULTI, '"classify_x_to_y"', '"regress_x_to_y"')), "INVALID_ARGUMENT",
         "Duplicate evaluation of signature: regress_x_to_y"),
    17: (records(changed(SESSION, "y:0", "q:0")), "UNIMPLEMENTED", "Unsupported log_type for warmup: 5"),
    21: (records(STREAMED[:-1] + PREDICT[len("predict_log {"):PREDICT.rindex("}")].replace("DT_FLOAT", "DT_STRING") + "}"),
         "INVALID_ARGUMENT", "Expects arg[0] to be float but string is provided"),
    18: ([b"\xff\xff"], "INVALID_ARGUMENT", "Failed to parse warmup record: ?? from $PATH"),
    19: (b"no TFRecord, but long enough for a header", "DATA_LOSS",
         "corrupted record at 0 (Is this even a TFRecord file?). Please verify your warmup data is in TFRecord format."),
    20: (records(NOTHING) * 1001, "INVALID_ARGUMENT", "Number of warmup records exceeds the maximum (1000) at $PATH"),
}


def test_a_version_whose_records_do_not_fit_does_not_serve_and_says_why(server):
    put(server, 2, records(NOTHING) * 1000)
    server.wait_state("half", 2, "serving")
    for version, (data, _, _) in BAD.items():
        put(server, version, data)
    for version, (_, code, text) in BAD.items():
        server.wait_state("half", version, "quarantined")
        _, body = server.rest("GET", f"/v1/models/half/versions/{version}")
        (status,) = json.loads(body)["model_version_status"]
        path = server.models / "half" / str(version) / FILE
        expected = text.replace("$PATH", str(path))
        if version == 12:  # the wording that counts is that of a request; here only that it is refused by it
            assert status["status"]["error_code"] == code and "z" in status["status"]["error_message"]
            continue
        assert (status["state"], status["status"]) == ("END", {"error_code": code, "error_message": expected}), version
    code, body = server.rest("POST", "/v1/models/half:predict", {"instances": [1.0]})
    assert (code, json.loads(body)) == (200, {"predictions": [4.5]})
    (failed,) = events(server, 10, "warmup_failed")
    assert "record 2 of" in failed["reason"]


def test_without_warmup_records_do_not_matter():
    with Server("--enable_model_warmup=false", config=CONFIG % "tensorflow") as server:
        put(server, 10, BAD[10][0])
        server.wait_state("half", 10, "serving")


def test_openvino_makes_room_for_tensorflow_where_the_records_do_not_run_on_it():
    config = CONFIG % "auto"
    wrong = changed(PREDICT, "DT_FLOAT", "DT_STRING")
    with Server(config=config) as server:
        folder = server.folder / "made"
        shutil.copytree(ROOT / "models/half_plus_two/1", folder)
        (folder / "assets.extra").mkdir()
        tfrecord.write(folder / FILE, records(wrong))
        server.put("half", 1, folder)
        server.wait_state("half", 1, "quarantined")
        tried = [e["reason"].split(FILE)[1].split(":")[0] for e in events(server, 1, "warmup_failed")]
        assert tried == [" on openvino", " on tensorflow"]
