# SPDX-License-Identifier: Apache-2.0
"""What operators see: metrics under TensorFlow Serving's names and ours, readiness, and the log lines that scripts look for."""
import json
import os
import re
import signal
import subprocess

import pytest

from everlit import LIMIT_S, MODELS, ROOT, Server, np, predict_request, prediction_service_pb2_grpc, wait_for
from everlit_protos import classification_pb2, inference_pb2

HALF = ROOT / "test/conformance/models/half/3"
CONFIG = """model_config_list {
  config { name: "half" base_path: "$MODELS/half" model_platform: "tensorflow" update { engine: "tensorflow" } }
  config { name: "warm" base_path: "$MODELS/warm" model_platform: "tensorflow" model_version_policy { all {} } update { engine: "tensorflow" } }
  config { name: "steps" base_path: "$MODELS/steps" model_platform: "tensorflow" update { engine: "tensorflow" } }
  config { name: "later" base_path: "$MODELS/later" model_platform: "tensorflow" update { engine: "tensorflow" } } }"""
PATH = "/monitoring/prometheus/metrics"
SERVING = ":tensorflow:serving:"


@pytest.fixture(scope="module")
def server():
    server = Server(config=CONFIG)
    monitoring = server.folder / "monitoring.config"
    monitoring.write_text("prometheus_config { enable: true }")
    server.flags.append(f"--monitoring_config_file={monitoring}")
    server.put("half", 3, HALF)
    server.put("warm", 1, ROOT / "test/conformance/models/warm/1")
    server.put("steps", 1, MODELS / "digits/1")
    with server:
        for model, version in (("half", 3), ("warm", 1), ("steps", 1)):
            server.wait_serving(model, version)
        yield server


def samples(server, path=PATH):
    code, body = server.rest("GET", path)
    assert code == 200
    found = {}
    for line in body.decode().splitlines():
        if not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            assert name not in found, f"twice: {name}"
            found[name] = float(value)
    return found


def recorded():
    """The names, types, labels and buckets of the real server's page, as far as everlitd has them."""
    for line in open(ROOT / "test/conformance/answers.jsonl"):
        record = json.loads(line)
        if record["id"] == "monitoring/default-path":
            return record["response"]["body"]
    raise AssertionError("no recorded page")


def test_requests_are_counted_as_tensorflow_serving_counts_them(server):
    before = samples(server)

    def grown(name):
        return samples(server).get(name, 0) - before.get(name, 0)
    example = classification_pb2.ClassificationRequest()
    example.model_spec.name, example.model_spec.signature_name = "half", "classify_x_to_y"
    example.input.example_list.examples.add().features.feature["x"].float_list.value.append(2)
    multi = inference_pb2.MultiInferenceRequest()
    multi.input.CopyFrom(example.input)
    multi.input.example_list.examples.add().CopyFrom(multi.input.example_list.examples[0])
    task = multi.tasks.add(method_name="tensorflow/serving/regress")
    task.model_spec.name, task.model_spec.signature_name = "half", "regress_x_to_y"
    with server.channel() as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        for _ in range(3):
            stub.Predict(predict_request("half", {"x": np.array([1], np.float32)}), timeout=LIMIT_S)
        stub.Classify(example, timeout=LIMIT_S)
        stub.MultiInference(multi, timeout=LIMIT_S)
    for body in ({"instances": [1.0, 2.0]}, {"instances": "no list"}):
        server.rest("POST", "/v1/models/half:predict", body)
    server.rest("POST", "/v1/models/half:regress", {"signature_name": "regress_x_to_y", "examples": [{"x": 2.0}]})
    server.rest("GET", "/v1/models/half")
    server.rest("GET", '/v1/models/odd%22%5Cname')
    server.rest("GET", "/v1/models/half/what")
    assert grown(SERVING + 'request_count{model_name="half",status="OK"}') == 3 + 1 + 2 + 1
    assert grown(SERVING + 'request_count{model_name="half",status="INVALID_ARGUMENT"}') >= 1
    assert grown(SERVING + r'request_count{model_name="odd\"\\name",status="NOT_FOUND"}') == 1
    for labels, count in (('API="Predict",entrypoint="GRPC"', 3), ('API="Classify",entrypoint="GRPC"', 1),
                          ('API="predict",entrypoint="REST"', 1), ('API="regress",entrypoint="REST"', 1),
                          ('API="",entrypoint="REST"', 1), ('API="MultiInference",entrypoint="GRPC"', 1)):
        assert grown(SERVING + f'request_latency_count{{model_name="half",{labels}}}') == count, labels
        assert grown(SERVING + f'request_latency_bucket{{model_name="half",{labels},le="+Inf"}}') == count, labels
    assert grown(SERVING + 'runtime_latency_count{model_name="half",API="Predict",runtime="TF1"}') == 4
    assert grown(SERVING + 'runtime_latency_count{model_name="half",API="Regress",runtime="TF1"}') == 1
    assert grown(SERVING + 'request_example_count_total{model="half"}') == 2
    assert grown(SERVING + 'request_example_counts_bucket{model="half",le="4"}') == 1
    assert grown(SERVING + 'request_example_counts_bucket{model="half",le="2"}') == 0  # a limit of theirs is not in its bucket


def test_buckets_labels_and_types_are_those_of_the_real_server(server):
    theirs = recorded()
    ours = server.rest("GET", PATH)[1].decode()
    types = dict(re.findall(r"^# TYPE (:\S+) (\w+)$", theirs, re.M))
    for name, kind in re.findall(r"^# TYPE (:\S+) (\w+)$", ours, re.M):
        assert types[name] == kind
    # TensorFlow's exponential buckets, of which the fresh server that was recorded shows those of another histogram.
    wide = re.findall(r'load_latency_by_stage_bucket\{model_path="[^"]*/half/3",stage="init_graph",le="([^"]+)"', theirs)
    for metric in ("request_latency", "runtime_latency"):
        edges = re.findall(SERVING + metric + r'_bucket\{model_name="half",API="Predict",[^}]*le="([^"]+)"', ours)
        assert edges == wide[:33] + ["+Inf"], edges
    edges = re.findall(r':tensorflow:cc:saved_model:load_latency_by_stage_bucket\{model_path="[^"]*/half/3",stage="restore_graph",le="([^"]+)"', ours)
    assert edges == wide
    # (Of the bytes of outputs the recording has no cell; its edges are those of the inputs.)
    for metric, like in (("graph_run_time_usecs_histogram",) * 2, ("graph_run_input_tensor_bytes",) * 2,
                         ("graph_run_output_tensor_bytes", "graph_run_input_tensor_bytes")):
        def edges_of(page, name):
            return re.findall(rf'^:tensorflow:core:{name}_bucket{{le="([^"]+)"}}', page, re.M)
        assert edges_of(ours, metric) == edges_of(theirs, like) != [], metric


def test_loads_warm_ups_and_runs_are_counted_as_tensorflow_counts_them(server):
    attempts, latency = (f":tensorflow:cc:saved_model:load_{what}" for what in ("attempt_count", "latency"))
    server.put("warm", 2, ROOT / "test/conformance/models/garbage/1")
    server.put("warm", 3, ROOT / "test/conformance/models/warm_bad/1")
    for number, state in ((3, "quarantined"), (2, "quarantined"), (1, "serving")):
        server.wait_state("warm", number, state)
    seen, path = samples(server), f'model_path="{server.models}/warm'
    assert seen[f'{attempts}{{{path}/1",status="success"}}'] == 1
    assert seen[f'{attempts}{{{path}/2",status="fail"}}'] == 1
    assert seen[f'{latency}{{{path}/1"}}'] > 0
    assert seen[f'{latency}_by_stage_count{{{path}/1",stage="restore_graph"}}'] == 1
    assert seen[SERVING + f'model_warmup_latency_count{{{path}/1",status="OK"}}'] == 1
    assert [name for name in seen if name.startswith(SERVING + f'model_warmup_latency_count{{{path}/3"')] and \
        SERVING + f'model_warmup_latency_count{{{path}/3",status="OK"}}' not in seen
    server.put("warm", 4, HALF)
    server.wait_serving("warm", 4)
    with server.channel() as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        before = samples(server)
        for _ in range(3):
            stub.Predict(predict_request("warm", {"x": np.array([1, 2], np.float32)}), timeout=LIMIT_S)
    core, after = ":tensorflow:core:", samples(server)
    for name, count in (("direct_session_runs{}", 3), ("graph_runs{}", 3), ("graph_run_time_usecs_histogram_count{}", 3),
                        ("graph_run_input_tensor_bytes_sum{}", 24), ('graph_run_output_tensor_bytes_bucket{le="16"}', 3),
                        ('graph_run_output_tensor_bytes_bucket{le="4"}', 0)):
        assert after[core + name] - before[core + name] == count, name
    assert after[core + "graph_run_time_usecs{}"] > before[core + "graph_run_time_usecs{}"]
    assert after['everlit_queue_seconds_count{model="warm",version="4"}'] == 3


def test_what_came_of_new_versions_is_counted(server):
    process = server.version("steps", 1)["pid"]
    os.kill(process, signal.SIGKILL)
    server.wait("another worker", lambda: server.version("steps", 1)["pid"] not in (0, process))
    server.put("steps", 2, MODELS / "broken/nan_outputs")
    server.wait_state("steps", 2, "quarantined")
    seen = samples(server, "/metrics")
    assert seen['everlit_probes_total{model="steps",result="passed"}'] == 1
    assert seen['everlit_probes_total{model="steps",result="failed"}'] == 1
    assert seen['everlit_switches_total{model="steps"}'] == 1
    assert seen['everlit_quarantines_total{model="steps"}'] == 1
    assert seen['everlit_rollbacks_total{model="steps",reason="errors"}'] == 0
    assert seen['everlit_worker_deaths_total{model="steps",version="1"}'] == 1
    assert seen['everlit_worker_restarts_total{model="steps",version="1"}'] == 1
    for phase in ("loading", "probing"):
        assert seen[f'everlit_swap_phase_seconds{{model="steps",version="1",phase="{phase}"}}'] > 0, phase


def test_promtool_finds_nothing_to_say_about_metrics(server):
    page = server.rest("GET", "/metrics")[1]
    checked = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True)
    assert checked.returncode == 0, checked.stderr.decode()
    both = server.rest("GET", PATH)[1]
    checked = subprocess.run(["promtool", "check", "metrics"], input=both, capture_output=True)
    # It parses; all that is found fault with are names, which are TensorFlow Serving's.
    assert checked.returncode in (0, 3), checked.stderr.decode()
    assert all(line.startswith(":tensorflow:") for line in checked.stderr.decode().splitlines()), checked.stderr.decode()
    assert b"everlit_version_state" in both


def test_ready_when_every_model_answers(server):
    assert server.rest("GET", "/livez")[0] == 200
    assert server.rest("GET", "/readyz/half")[0] == 200
    assert server.rest("GET", "/readyz/nobody")[0] == 404
    for path in ("/readyz", "/readyz/later"):
        code, body = server.rest("GET", path)
        assert code == 503 and [m["model"] for m in json.loads(body)["models"]] == ["later"]
        assert "base path" in json.loads(body)["models"][0]["reason"]
    server.put("later", 3, HALF)
    wait_for("the server to be ready", lambda: server.rest("GET", "/readyz")[0] == 200)
    assert server.rest("GET", "/readyz/later")[0] == 200
    seen = samples(server, "/metrics")
    assert seen['everlit_quarantined_versions{model="later"}'] == 0
    assert seen['everlit_version_switch_seconds{model="later",version="3"}'] >= \
        seen['everlit_version_load_seconds{model="later",version="3"}'] > 0


def test_the_lines_that_scripts_look_for_are_in_the_log(server):
    log = server.log_path.read_text()
    for text in ("(Re-)adding model: half", "Successfully reserved resources to load servable {name: half version: 3}",
                 "Loading servable version {name: half version: 3}",
                 "Successfully loaded servable version {name: half version: 3}",
                 f"Running gRPC ModelServer at 0.0.0.0:{server.grpc_port} ...",
                 f"Exporting HTTP/REST API at:localhost:{server.rest_port} ..."):
        assert text in log, text
    assert re.search(r"Encountered an error for servable version \{name: steps version: 2\}: .*not finite", log)


def test_each_line_of_the_log_is_a_json_object_with_its_model_and_version(server):
    told = [json.loads(line) for line in server.log_path.read_text().splitlines()]
    assert all({"time", "level", "event"} <= set(line) for line in told)
    switched = [line for line in told if line["event"] == "switched"]
    assert switched and all(isinstance(line["model"], str) and isinstance(line["version"], int) for line in switched)
    # A text of TensorFlow Serving's about a version comes with that version in fields.
    for line in told:
        for name, version in re.findall(r"servable version \{name: (\S+) version: (\d+)\}", line.get("message", "")):
            assert (line["model"], line["version"]) == (name, int(version)), line
