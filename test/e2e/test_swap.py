# SPDX-License-Identifier: Apache-2.0
"""Versions change under traffic, and not one request fails."""
import json
import os
import random
import signal
import subprocess
import time

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from digits import CONFIG, GOOD, answers_by_parity, digits_server
from everlit import LIMIT_S, MODELS, Server, Traffic, UnixConnection, np, predictions, wait_for

SWAPS = int(os.environ.get("EVERLIT_TEST_SWAPS", "200"))
KILLS = int(os.environ.get("EVERLIT_TEST_KILLS", "30"))
KILL_EVERY_S = 2


@pytest.mark.parametrize("engine", ["openvino", "tensorflow"])
def test_good_versions_take_turns_under_load(images, answers, engine):
    swaps = SWAPS if engine == "openvino" else max(SWAPS // 10, 2)
    with digits_server(engine, first=1, more="keep_warm_ms: 100") as server, Traffic(
            server, images, answers_by_parity(answers, swaps + 1)) as traffic:
        for number in range(2, swaps + 2):
            server.put("digits", number, GOOD[2 - number % 2])
            server.wait_serving("digits", number)
            traffic.wait_more(16)
            server.remove("digits", number - 1)
    traffic.assert_clean()
    assert {number % 2 for number in traffic.answers} == {0, 1}, f"both contents were answers: {traffic.answers}"


def test_killed_workers_cost_no_request(images, answers):
    """A worker of three, chosen by chance, every two seconds: what waits for its successor waits, and is answered."""
    numbers, chance = (1, 2, 3), random.Random(1)
    config = CONFIG.replace("update {", "model_version_policy { all {} } update {") % ("openvino", "process", "")
    server = Server(config=config)
    for number in numbers:
        server.put("digits", number, GOOD[2 - number % 2])
    expected = answers_by_parity(answers, len(numbers))
    with server, Traffic(server, images, expected, versions=numbers) as traffic:
        turn = time.monotonic()
        for _ in range(KILLS):
            pids = server.wait("a worker", lambda: [pid for pid in (server.version("digits", n)["pid"] for n in numbers) if pid])
            victim = chance.choice(pids)
            os.kill(victim, signal.SIGKILL)
            server.wait(f"the death of {victim} to be seen",
                        lambda: victim not in (server.version("digits", n)["pid"] for n in numbers))
            turn += KILL_EVERY_S
            time.sleep(max(turn - time.monotonic(), 0))
        for number in numbers:
            server.wait_state("digits", number, "serving")
        # One that dies before it answers is a start that failed, and no death of a worker.
        assert sum(server.version("digits", n)["worker_deaths"] for n in numbers) >= KILLS // 2
        traffic.wait_more(100)
    traffic.assert_clean()
    assert set(traffic.answers) == set(numbers)


def test_repaired_files_are_another_chance(images, answers):
    with digits_server() as server:
        subprocess.run([MODELS / "broken" / "play.sh", "nan_outputs", server.base("digits"), "2"], check=True, stdout=subprocess.DEVNULL)
        server.wait_state("digits", 2, "quarantined")
        server.remove("digits", 2)
        server.put("digits", 2, GOOD[1])
        server.wait_serving("digits", 2)
        assert np.allclose(predictions(server, images), answers[1], atol=1e-4)


def test_the_serving_version_outlives_its_directory(images, answers):
    with digits_server() as server, Traffic(server, images, {1: answers[2], 2: answers[2]}, grpc_threads=2, rest_threads=2) as traffic:
        server.remove("digits", 1)
        os.rename(server.models / "digits", server.models / "gone")
        os.mkdir(server.models / "unrelated")
        before = len(server.events())
        traffic.wait_more(200)
        assert server.model("digits")["serving"] == 1, server.events()[before:]
        os.rename(server.models / "gone", server.models / "digits")
        server.put("digits", 2, GOOD[2])
        server.wait_serving("digits", 2)
    traffic.assert_clean()


def test_a_version_that_comes_slowly_is_taken_when_whole(images):
    with digits_server() as server:
        process = subprocess.Popen([MODELS / "broken" / "play.sh", "slow_copy", server.base("digits"), "2", "3"],
                                   stdout=subprocess.DEVNULL)
        while process.poll() is None:
            assert server.model("digits")["serving"] == 1
            version = server.version("digits", 2)
            assert version is None or version["state"] in ("new", "verifying"), version
        server.wait_serving("digits", 2)


def test_specific_versions_are_served_side_by_side(images, answers):
    config = (CONFIG % ("openvino", "process", "")).replace(
        "update {", "model_version_policy { specific { versions: 1 versions: 3 } } version_labels { key: 'old' value: 1 } update {")
    server = Server(config=config)
    for number, source in ((1, 1), (2, 1), (3, 2)):
        server.put("digits", number, GOOD[source])
    with server:
        server.wait_state("digits", 1, "serving")
        server.wait_state("digits", 3, "serving")
        assert server.version("digits", 2) is None or server.version("digits", 2)["state"] != "serving"
        assert np.allclose(predictions(server, images, version=1), answers[1], atol=1e-4)
        assert np.allclose(predictions(server, images), answers[2], atol=1e-4)
        status, body = server.rest("POST", "/v1/models/digits/labels/old:predict", {"instances": [images[0].tolist()]})
        assert status == 200, body
        assert np.allclose(json.loads(body)["predictions"][0], answers[1][0], atol=1e-4)


def test_resource_mode_takes_the_old_version_out_first_and_requests_wait(images, answers):
    with digits_server(more='availability: "resource"', first=1) as server, \
            Traffic(server, images, answers, grpc_threads=2, rest_threads=2) as traffic:
        server.put("digits", 2, GOOD[2])
        server.wait_serving("digits", 2)
        traffic.wait_more(50)
    traffic.assert_clean()


def test_health_watch_tells_when_a_model_comes(images):
    server = Server(config=CONFIG % ("openvino", "process", ""))
    server.base("digits")
    with server, server.channel() as channel:
        health = health_pb2_grpc.HealthStub(channel)
        stream = health.Watch(health_pb2.HealthCheckRequest(service="digits"), timeout=LIMIT_S)
        assert next(stream).status == health_pb2.HealthCheckResponse.NOT_SERVING
        server.put("digits", 1, GOOD[2])
        assert next(stream).status == health_pb2.HealthCheckResponse.SERVING
        stream.cancel()


def test_sigterm_answers_what_runs_and_ends_with_0(images, answers):
    server = digits_server()
    with server, Traffic(server, images, {1: answers[2]}, grpc_threads=4, rest_threads=0) as traffic:
        traffic.wait_more(50)
        assert server.stop() == 0
        traffic.done.set()
    # After the end nobody listens: only "unavailable" is left for clients that went on, never a broken answer.
    assert not traffic.wrong
    assert all("UNAVAILABLE" in failure for failure in traffic.failed), traffic.failed[:3]


def test_sighup_reads_the_config_again(images):
    with digits_server() as server:
        server.put("more", 1, GOOD[1])
        path = server.folder / "models.config"
        text = path.read_text()
        path.write_text(text.replace("}\n}", '}\n  config { name: "more" base_path: "%s/more" model_platform: "tensorflow" }\n}' % server.models))
        server.process.send_signal(signal.SIGHUP)
        wait_for("the model `more`", lambda: any(m["name"] == "more" and m["serving"] == 1 for m in server.status()["models"]))
        path.write_text("nonsense {")
        server.process.send_signal(signal.SIGHUP)
        wait_for("the refusal", lambda: any(e["event"] == "reload_refused" for e in server.log_events()))
        assert {m["name"] for m in server.status()["models"]} == {"digits", "more"}


def test_sigterm_ends_those_who_only_listen(images):
    server = digits_server()
    with server, server.channel() as channel:
        health = health_pb2_grpc.HealthStub(channel)
        stream = health.Watch(health_pb2.HealthCheckRequest(), timeout=LIMIT_S)
        assert next(stream).status == health_pb2.HealthCheckResponse.SERVING
        follower = UnixConnection(server.socket)
        follower.request("GET", "/admin/v1/events?follow=1")
        lines = follower.getresponse()
        assert json.loads(lines.readline())["id"] == 1
        before = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - before < 20, "the grace of 30 s was not waited out"
        assert lines.read() is not None


def test_a_stuck_worker_does_not_hold_up_the_end(images):
    with digits_server() as server:
        os.kill(server.version("digits", 1)["pid"], signal.SIGSTOP)
        before = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - before < 20, "neither grace of 30 s was waited out"
