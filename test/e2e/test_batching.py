# SPDX-License-Identifier: Apache-2.0
"""Requests of real clients that run together: which do, what each gets, what is refused, and that parameters change under load.

No test waits for luck: a batch of N rows that may wait for long runs when the N-th row is there, and not before. A worker takes
new parameters a moment after the front has them, so what is told of its batches is asked for until it is so.
"""
import concurrent.futures
import re
import signal
import subprocess

import pytest

from digits import GOOD, answers_by_parity
from everlit import (LIMIT_S, ROOT, Server, Traffic, digits, grpc, ndarray, np, predict_request, prediction_service_pb2_grpc,
                     wait_for)

MODELS = ROOT / "test/conformance/models"
CONFIG = """model_config_list {
  config { name: "half" base_path: "$MODELS/half" model_platform: "tensorflow" update { engine: "tensorflow" %s } }
  config { name: "varlen" base_path: "$MODELS/varlen" model_platform: "tensorflow" update { engine: "tensorflow" %s } }
  config { name: "digits" base_path: "$MODELS/digits" model_platform: "tensorflow" update { engine: "openvino" %s } } }"""
SESSION = ":tensorflow:serving:batching_session:"
LONG = "batch_timeout_micros { value: 4000000 }"


def batching(text):
    return "batching { %s }" % text


class Batched:
    """A server whose models' parameters for batching change while it runs."""

    def __init__(self, server):
        self.server, self.now = server, {"half": "", "varlen": "", "digits": ""}

    def set(self, **models):
        self.now.update(models)
        (self.server.folder / "models.config").write_text(
            (CONFIG % tuple(self.now[name] for name in ("half", "varlen", "digits"))).replace("$MODELS", str(self.server.models)))

        def reloads():
            return sum(event["event"] in ("reloaded", "reload_refused") for event in self.server.log_events())
        before = reloads()
        self.server.process.send_signal(signal.SIGHUP)
        wait_for("the config to be read again", lambda: reloads() > before)

    def metrics(self):
        lines = self.server.rest("GET", "/monitoring/prometheus/metrics")[1].decode().splitlines()
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines if not line.startswith("#")}

    def wait_for(self, expected, scenario):
        """Until scenario() returns what is expected and changes the metrics of batches so."""
        last = [None]

        def look():
            before = self.metrics()
            answers, grown = scenario(), self.grown(before)
            last[0] = (answers, {name: grown.get(name, 0) for name in expected[1]})
            return last[0] == expected
        wait_for(lambda: f"{expected}; the last time it was {last[0]}", look)

    def grown(self, before):
        """The metrics of batches that have changed since, by their short names."""
        return {name.removeprefix(SESSION): value - before.get(name, 0) for name, value in self.metrics().items()
                if name.startswith(SESSION) and value != before.get(name, 0)}


@pytest.fixture(scope="module")
def batched():
    server = Server("--enable_batching", config=CONFIG % ("", "", ""))
    files = {"monitoring.config": "prometheus_config { enable: true }", "batching.txt": "max_batch_size { value: 5 }"}
    for name, text in files.items():
        (server.folder / name).write_text(text)
    server.flags += [f"--monitoring_config_file={server.folder}/monitoring.config",
                     f"--batching_parameters_file={server.folder}/batching.txt"]
    server.put("half", 3, MODELS / "half" / "3")
    server.put("varlen", 1, MODELS / "varlen" / "1")
    server.put("digits", 1, GOOD[1])
    with server:
        server.wait_serving("digits", 1)
        yield Batched(server)


@pytest.fixture
def stub(batched):
    with batched.server.channel() as channel:
        yield prediction_service_pb2_grpc.PredictionServiceStub(channel)


def ask(stub, model, x, output="y"):
    answer = stub.Predict(predict_request(model, {"x": np.array(x, np.float32)}), timeout=LIMIT_S)
    return ndarray(answer.outputs[output]).tolist()


def half(x):
    return [value / 2 + 4 for value in x]


def at_once(stub, inputs, model="half", output="y"):
    with concurrent.futures.ThreadPoolExecutor(len(inputs)) as pool:
        return list(pool.map(lambda x: ask(stub, model, x, output), inputs))


def failure(stub, model, x):
    with pytest.raises(grpc.RpcError) as caught:
        ask(stub, model, x)
    return caught.value.code(), caught.value.details()


def test_requests_share_a_run_and_each_gets_its_own(batched, stub):
    batched.set(half=batching("max_batch_size { value: 8 } " + LONG))
    inputs = [[float(i)] for i in range(16)]
    batched.wait_for(([half(x) for x in inputs],
                      {"wrapped_run_count{}": 2, "input_batch_size_sum{}": 16, "processed_batch_size_sum{}": 16,
                       'input_batch_size_bucket{le="8"}': 0, 'input_batch_size_bucket{le="16"}': 2,
                       'padding_size_bucket{execution_batch_size="8",le="1"}': 2,
                       'queuing_latency_count{thread_pool_name=""}': 16}), lambda: at_once(stub, inputs))
    batched.wait_for(([half([1, 2, 3]), half([4, 5, 6, 7, 8])], {"wrapped_run_count{}": 1, "input_batch_size_sum{}": 8}),
                     lambda: at_once(stub, [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 7.0, 8.0]]))


def test_metrics_of_batches_have_their_labels_and_buckets(batched, stub):
    batched.set(half=batching(""))
    ask(stub, "half", [1])
    page = batched.server.rest("GET", "/monitoring/prometheus/metrics")[1]
    types = dict(re.findall(rf"^# TYPE {SESSION}(\w+) (\w+)$", page.decode(), re.M))
    assert types == {"input_batch_size": "histogram", "padding_size": "histogram", "processed_batch_size": "histogram",
                     "queuing_latency": "histogram", "wrapped_run_count": "counter"}
    for name in ("input_batch_size", "processed_batch_size", "padding_size"):
        edges = re.findall(rf'^{SESSION}{name}_bucket{{(?:execution_batch_size="1",)?le="([^"]+)"', page.decode(), re.M)
        assert edges == [str(2 ** i) for i in range(14)] + ["+Inf"], name
    edges = re.findall(rf'^{SESSION}queuing_latency_bucket{{thread_pool_name="",le="([^"]+)"', page.decode(), re.M)
    assert edges == [f"{100 * 1.2 ** i:g}" for i in range(52)] + ["+Inf"] and edges[12:14] == ["891.61", "1069.93"]
    checked = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True)
    assert checked.returncode in (0, 3), checked.stderr.decode()  # it parses; their names are all that is found fault with
    assert all(line.startswith(":tensorflow:") for line in checked.stderr.decode().splitlines()), checked.stderr.decode()


def test_a_batch_is_filled_up_to_an_allowed_size(batched, stub):
    batched.set(half=batching("max_batch_size { value: 8 } allowed_batch_sizes: [4, 8]"))
    for x, size in (([1, 2, 3], 4), ([1, 2, 3, 4, 5], 8)):
        batched.wait_for((half(x), {"input_batch_size_sum{}": len(x), "processed_batch_size_sum{}": size,
                                    f'padding_size_sum{{execution_batch_size="{size}"}}': size - len(x)}),
                         lambda: ask(stub, "half", x))


def test_inputs_of_different_lengths_share_a_batch_if_they_are_padded(batched, stub):
    batched.set(varlen=batching("max_batch_size { value: 2 } pad_variable_length_inputs: true " + LONG))

    def both():
        return at_once(stub, [[[5, 2]], [[1, 2, 3, 4]]], "varlen", "same")
    # With its own first element, as TensorFlow Serving does it.
    batched.wait_for(([[[5, 2, 5, 5]], [[1, 2, 3, 4]]], {"wrapped_run_count{}": 1}), both)
    batched.set(varlen=batching("max_batch_size { value: 2 }"))
    batched.wait_for(([[[5, 2]], [[1, 2, 3, 4]]], {"wrapped_run_count{}": 2}), both)


def test_a_full_queue_refuses_at_once_in_their_words(batched, stub):
    batched.set(half=batching("max_batch_size { value: 2 } max_enqueued_batches { value: 1 } batch_timeout_micros { value: 60000000 }"))
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = None

        def refusal():
            nonlocal waiting
            if waiting is None or waiting.done():  # not yet; or refused itself
                waiting = pool.submit(ask, stub, "half", [1])  # one row less than a batch
            try:
                ask(stub, "half", [2, 3])  # runs by itself until the other one waits
            except grpc.RpcError as error:
                return error
        error = wait_for("a full queue", refusal)
        assert (error.code(), error.details()) == (
            grpc.StatusCode.UNAVAILABLE, "The batch scheduling queue to which this task was submitted is full; currently 1 "
            "batches enqueued and max_enqueued_batches is 1")
        assert batched.server.rest("POST", "/v1/models/half:predict", {"instances": [2.0, 3.0]})[0] == 503
        assert not waiting.done()
        assert ask(stub, "half", [4]) == half([4])  # the row that was missing
        assert waiting.result() == half([1])


def test_a_large_request_runs_in_parts_and_is_answered_as_one(batched, stub):
    batched.set(half=batching("max_batch_size { value: 16 } enable_large_batch_splitting { value: true } "
                              "max_execution_batch_size { value: 4 }"))
    batched.wait_for((half(range(10)), {"wrapped_run_count{}": 3, "input_batch_size_sum{}": 10}),
                     lambda: ask(stub, "half", list(range(10))))
    assert failure(stub, "half", [0] * 17) == (grpc.StatusCode.INVALID_ARGUMENT,
                                               "Task size 17 is larger than maximum input batch size 16")


def test_the_parameters_of_a_model_win_and_a_change_loads_nothing(batched, stub):
    process = batched.server.version("half", 3)["pid"]
    too_large = "Task size 6 is larger than maximum input batch size %d"
    batched.set(half="")
    assert failure(stub, "half", [0] * 6)[1] == too_large % 5  # the server's file
    batched.set(half=batching("max_batch_size { value: 3 }"))
    assert failure(stub, "half", [0] * 6)[1] == too_large % 3
    assert failure(stub, "varlen", [[0]] * 6)[1] == too_large % 2  # its own, still
    batched.set(half=batching("max_batch_size { value: 8 } allowed_batch_sizes: [2, 4]"))
    assert "Last entry in allowed_batch_sizes must match max_batch_size" in batched.server.log_text()
    assert failure(stub, "half", [0] * 6)[1] == too_large % 3  # what is refused changes nothing
    batched.set(half=batching(""))
    assert ask(stub, "half", [0] * 6) == half([0] * 6)
    assert batched.server.version("half", 3)["pid"] == process


def test_no_request_notices_new_parameters_or_gets_another_versions_answer(batched, answers):
    """Versions come and go and parameters change while 16 clients ask: each answer is that of the version that it names."""
    images = digits()[0][:24]
    parameters = ["max_batch_size { value: 16 } batch_timeout_micros { value: 2000 }", "max_batch_size { value: 4 }",
                  "max_batch_size { value: 8 } allowed_batch_sizes: [8] batch_timeout_micros { value: 500 }"]
    last = 6
    expected = answers_by_parity(answers, last)
    before = batched.metrics()
    with Traffic(batched.server, images, expected) as traffic:
        for version in range(2, last + 1):
            batched.set(digits=batching(parameters[version % 3]) if version % 4 < 3 else "")
            traffic.wait_more(20)
            batched.server.put("digits", version, GOOD[2 - version % 2])
            batched.server.wait_serving("digits", version)
            traffic.wait_more(20)
    traffic.assert_clean()
    assert set(traffic.answers) == set(expected)
    grown = batched.grown(before)
    assert grown["input_batch_size_sum{}"] > grown["input_batch_size_count{}"], "no two requests shared a run"
