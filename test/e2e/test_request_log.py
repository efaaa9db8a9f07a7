# SPDX-License-Identifier: Apache-2.0
"""The request log: what is logged, where, how much of it, what a reload changes, and that nothing that goes wrong with it
touches a request. The files are read with code of the tests' own and with the public messages; one of them warms up a version.
"""
import json
import resource
import shutil

import pytest
import tfrecord
from everlit import LIMIT_S, ROOT, Server, np, predict_request, prediction_service_pb2_grpc, wait_for
from everlit_protos import (classification_pb2, inference_pb2, model_management_pb2, model_server_config_pb2,
                            model_service_pb2_grpc, ndarray, prediction_log_pb2, regression_pb2, text_format)
from tensorflow_serving.apis import session_service_pb2

HALF = ROOT / "test/conformance/models/half/3"
MODEL = """config { name: "%s" base_path: "$MODELS/%s" model_platform: "tensorflow" model_version_policy { all {} }
  %s update { engine: "tensorflow" isolation: "none" %s } }"""
LOG = 'logging_config { log_collector_config { filename_prefix: "%s" } sampling_config { sampling_rate: %s } }'
EXAMPLE = 'example_list { examples { features { feature { key: "x" value { float_list { value: 2 } } } } } }'
LOST = "everlit_request_log_lost_total"
COUNT = ":tensorflow:serving:request_log_count"


def make(models, versions=(("half", 1, HALF),), monitoring=True):
    """A server that logs to FOLDER/log/MODEL-...; models: (name, rate or None, more of update { })."""
    server = Server()
    if monitoring:
        (server.folder / "monitoring").write_text("prometheus_config { enable: true }")
        server.flags.append(f"--monitoring_config_file={server.folder}/monitoring")
    (server.folder / "log-dir").mkdir()
    server.config = config(server, *models)
    for version in versions:
        server.put(*version)
    return server


def config(server, *models):
    texts = [MODEL % (name, name, LOG % (prefix(server, name), rate) if rate is not None else "", more)
             for name, rate, more in models]
    return ("model_config_list { %s }" % " ".join(texts)).replace("$MODELS", str(server.models))


def prefix(server, name):
    return server.folder / "log-dir" / name


def files(server, name):
    return sorted((server.folder / "log-dir").glob(f"{name}-*Z-*.tfrecord"))


def records(server, name):
    return [prediction_log_pb2.PredictionLog.FromString(r) for file in files(server, name) for r in tfrecord.read(file)]


def metric(server, name):
    """{labels: value} of a metric."""
    _, page = server.rest("GET", "/monitoring/prometheus/metrics")
    lines = [line.rsplit(" ", 1) for line in page.decode().splitlines() if line.startswith(name + "{")]
    return {labels[len(name):]: int(value) for labels, value in lines}


def wait_count(server, labels, count, name=COUNT):
    wait_for(lambda: f"{name}{labels} {count}: {metric(server, name)}\n{server.log_text()}",
             lambda: metric(server, name).get(labels, 0) == count)


def written(server, count, model="half"):
    wait_count(server, '{model_name="%s",status_code="OK"}' % model, count)
    return records(server, model)


def parse(text, message):
    return text_format.Parse(text, message())


@pytest.fixture
def half():
    models = [("half", 1, ""), ("silent", None, ""), ("never", 0, "")]
    with make(models, [(name, 1, HALF) for name, _, _ in models]) as server:
        yield server


def test_every_kind_of_request_is_logged_with_its_answer_and_the_file_warms_up_a_version(half):
    with half.channel() as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        ask = [
            ("predict_log", stub.Predict, predict_request("half", {"x": np.float32([1, 2])})),
            ("classify_log", stub.Classify, parse(
                'model_spec { name: "half" signature_name: "classify_x_to_y" } input { %s }' % EXAMPLE,
                classification_pb2.ClassificationRequest)),
            ("regress_log", stub.Regress, parse(
                'model_spec { name: "half" signature_name: "regress_x_to_y" } input { %s }' % EXAMPLE,
                regression_pb2.RegressionRequest)),
            ("multi_inference_log", stub.MultiInference, parse(
                'tasks { model_spec { name: "half" signature_name: "regress_x_to_y" } '
                'method_name: "tensorflow/serving/regress" } input { %s }' % EXAMPLE,
                inference_pb2.MultiInferenceRequest)),
        ]
        answers = [call(request, timeout=LIMIT_S) for _, call, request in ask]
        for name in ("silent", "never"):
            stub.Predict(predict_request(name, {"x": np.float32([1])}), timeout=LIMIT_S)
        session_run = channel.unary_unary("/tensorflow.serving.SessionService/SessionRun",
                                          request_serializer=session_service_pb2.SessionRunRequest.SerializeToString,
                                          response_deserializer=session_service_pb2.SessionRunResponse.FromString)
        ask.append(("session_run_log", session_run, parse(
            """model_spec { name: "half" } fetch: "y:0" feed { name: "x:0" tensor {
            dtype: DT_FLOAT tensor_shape { dim { size: 1 } } float_val: 2 } }""", session_service_pb2.SessionRunRequest)))
        answers.append(session_run(ask[-1][2], timeout=LIMIT_S))
    for (kind, _, request), answer, log in zip(ask, answers, written(half, 5)):
        assert log.WhichOneof("log_type") == kind
        assert (getattr(log, kind).request, getattr(log, kind).response) == (request, answer)
        spec = log.log_metadata.model_spec
        assert (spec.name, spec.version.value, spec.signature_name != "") == ("half", 1, kind != "session_run_log")
        assert log.log_metadata.sampling_config.sampling_rate == 1

    # REST: the messages that would have said the same.
    rest = [("/v1/models/half/versions/1:predict", {"instances": [1.0, 2.0]}),
            ("/v1/models/half:classify", {"signature_name": "classify_x_to_y", "examples": [{"x": 2.0}]}),
            ("/v1/models/half:regress", {"signature_name": "regress_x_to_y", "context": {"x": 2.0}, "examples": [{}]})]
    assert [half.rest("POST", path, body)[0] for path, body in rest] == [200] * 3
    assert half.rest("POST", "/v1/models/half:predict", {"instances": ["no number"]})[0] == 400  # not logged
    predict, classify, regress = written(half, 8)[5:]
    assert predict.predict_log.request.model_spec == parse('name: "half" version { value: 1 }', type(spec))
    assert ndarray(predict.predict_log.request.inputs["x"]).tolist() == [1, 2]
    assert predict.predict_log.response == answers[0]
    assert (classify.classify_log.request, classify.classify_log.response) == (ask[1][2], answers[1])
    assert regress.regress_log.request.input.example_list_with_context.context.features.feature["x"].float_list.value == [2]
    assert len(regress.regress_log.request.input.example_list_with_context.examples) == 1
    assert regress.regress_log.response == answers[2]

    (file,) = files(half, "half")
    made = half.folder / "made"
    shutil.copytree(HALF, made)
    (made / "assets.extra").mkdir(exist_ok=True)
    shutil.copy(file, made / "assets.extra/tf_serving_warmup_requests")
    half.put("half", 2, made)
    half.wait_state("half", 2, "serving")
    (warmed,) = [e for e in half.log_events() if e["event"] == "warmed" and e["version"] == 2]
    assert "Number of warmup records read: 8." in warmed["reason"]
    assert metric(half, LOST) == {'{model="half"}': 0}
    assert len(list((half.folder / "log-dir").iterdir())) == 1


def test_a_reload_adds_a_log_changes_its_rate_and_takes_it_away():
    with make([("half", None, "")]) as server, server.channel() as channel:
        stub = model_service_pb2_grpc.ModelServiceStub(channel)

        def ask(times):
            for _ in range(times):
                assert server.rest("POST", "/v1/models/half:predict", {"instances": [1.0]})[0] == 200

        def reload(rate):
            request = model_management_pb2.ReloadConfigRequest(config=text_format.Parse(
                config(server, ("half", rate, "")), model_server_config_pb2.ModelServerConfig(),
                allow_unknown_field=True))
            assert stub.HandleReloadConfigRequest(request, timeout=LIMIT_S).status.error_code == 0

        ask(3)
        reload(1)
        ask(2)
        assert len(written(server, 2)) == 2
        assert b"sampling_rate: 0.5" not in server.admin("/admin/v1/config")
        reload(0.5)
        assert b"sampling_rate: 0.5" in server.admin("/admin/v1/config")
        ask(100)
        reload(None)
        ask(3)
        reload(1)
        ask(1)
        assert server.stop() == 0
        logs = records(server, "half")
        half = [log for log in logs if log.log_metadata.sampling_config.sampling_rate == 0.5]
        assert 10 < len(half) < 90 and len(logs) == 3 + len(half)
        assert logs[-1].log_metadata.sampling_config.sampling_rate == 1


def test_files_are_followed_by_others_at_a_size_and_the_oldest_go():
    limits = "request_log_file_bytes: 1048576 request_log_total_bytes: 3145728"
    with make([("half", 1, limits)]) as server, server.channel() as channel:
        older = prefix(server, "half").parent / "half-20200101T000000Z-000001.tfrecord"
        other = prefix(server, "half").parent / "half-of-somebody-20200101T000000Z-000001.tfrecord"
        for path in (older, other):
            path.write_bytes(b"left by an earlier run")
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        request = predict_request("half", {"x": np.zeros(50000, np.float32)})  # a record has 400 kB
        for _ in range(20):
            stub.Predict(request, timeout=LIMIT_S)
        wait_count(server, '{model_name="half",status_code="OK"}', 20)
        sizes = [file.stat().st_size for file in files(server, "half") if file != other]
        assert 2 <= len(sizes) <= 3 and all(0 < size <= 1048576 for size in sizes) and sum(sizes) <= 3145728
        assert not older.exists() and other.exists()
        assert 4 <= sum(1 for file in files(server, "half") if file != other for _ in tfrecord.read(file)) <= 6


def test_a_full_disk_loses_records_counts_them_and_fails_no_request():
    with make([("half", 1, "")]) as server, server.channel() as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        small, large = (predict_request("half", {"x": np.zeros(size, np.float32)}) for size in (1, 50000))
        stub.Predict(large, timeout=LIMIT_S)
        assert len(written(server, 1)) == 1
        (file,) = files(server, "half")
        before = file.stat().st_size
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (before + 1000, resource.RLIM_INFINITY))
        for _ in range(5):  # begins to fit, and does not
            stub.Predict(large, timeout=LIMIT_S)
        stub.Predict(small, timeout=LIMIT_S)  # fits
        wait_count(server, '{model_name="half",status_code="RESOURCE_EXHAUSTED"}', 5)
        assert len(written(server, 2)) == 2 and file.stat().st_size < before + 1000
        assert metric(server, LOST)['{model="half"}'] == 5
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        stub.Predict(large, timeout=LIMIT_S)
        assert len(written(server, 3)) == 3
        (said,) = [e for e in server.log_events() if e["event"] == "request_log_lost"]  # once
        assert said["model"] == "half" and "is full" in said["reason"]

        shutil.rmtree(server.folder / "log-dir")  # what is open goes with it, and nothing can be made
        stub.Predict(small, timeout=LIMIT_S)
        wait_count(server, '{model="half"}', 6, LOST)
        (server.folder / "log-dir").mkdir()
        stub.Predict(small, timeout=LIMIT_S)
        assert len(written(server, 4)) == 1


def test_records_that_wait_are_written_before_the_server_ends():
    with make([("half", 1, "")], monitoring=False) as server:
        with server.channel() as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            for _ in range(20):
                stub.Predict(predict_request("half", {"x": np.zeros(50000, np.float32)}), timeout=LIMIT_S)
        assert server.stop() == 0
        assert len(records(server, "half")) == 20


def test_what_is_too_large_to_wait_is_lost_at_once():
    with make([("half", 1, "")]) as server, server.channel() as channel:
        request = predict_request("half", {"x": np.zeros(9 << 20, np.float32)})  # two times 36 MiB
        prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=LIMIT_S)
        wait_count(server, '{model_name="half",status_code="RESOURCE_EXHAUSTED"}', 1)
        assert files(server, "half") == []
        (said,) = [e for e in server.log_events() if e["event"] == "request_log_lost"]
        assert "does not fit into the 67108864 bytes" in said["reason"]
        assert json.loads(server.rest("POST", "/v1/models/half:predict", {"instances": [1.0]})[1]) == {
            "predictions": [4.5]}
        assert len(written(server, 1)) == 1
