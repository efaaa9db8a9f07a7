# SPDX-License-Identifier: Apache-2.0
"""Rollouts under traffic of TensorFlow Serving's clients: a good version comes step by step, a bad one goes at its first, and no request fails."""
import json
import subprocess

import pytest

from everlit import BUILD, LIMIT_S, MODELS, Server, Traffic, get_model_status_pb2, grpc, model_service_pb2_grpc, np

CONFIG = """
model_config_list {
  config { name: "m" base_path: "$MODELS/m" model_platform: "tensorflow"
           update { engine: "test" max_latency_ratio: -1 guard_ms: 500 probe { replay_records: 0 }
                    rollout { mode: "canary" percent: [20, 50] step_requests: 50 step_ms: 200 MORE } } }
}
"""
ROWS = np.arange(48, dtype=np.float32).reshape(12, 4) + 5  # the probe's own rows are below 1
EXPECTED = {number: np.stack([ROWS.sum(axis=1), np.full(len(ROWS), number)], axis=1) for number in (1, 2, 3)}


def put(server, number, orders=""):
    server.put_test("m", number, f"above=4\n{orders}")


def begin(more=""):
    server = Server(config=CONFIG.replace("MORE", more))
    put(server, 1)
    return server


def everlit(server, *arguments, code=0):
    done = subprocess.run([BUILD / "src/cmd/everlit", "--socket", server.socket, *arguments], capture_output=True, text=True,
                          timeout=4 * LIMIT_S)
    assert done.returncode == code, f"everlit {' '.join(arguments)}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def event(server, name, version, part=""):
    def look():
        return any(e["event"] == name and e["version"] == version and part in e["text"] for e in server.events())
    server.wait(f"{name} of version {version}, {part!r}", look)


def states(server):
    with server.channel() as channel:
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = "m"
        answer = model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(request, timeout=LIMIT_S)
        return {s.version: get_model_status_pb2.ModelVersionStatus.State.Name(s.state) for s in answer.model_version_status}


def test_a_good_version_comes_step_by_step_and_a_bad_one_goes_at_its_first():
    with begin() as server, Traffic(server, ROWS, EXPECTED, model="m", grpc_threads=4, rest_threads=4) as traffic:
        traffic.wait_more(100)
        put(server, 2)
        event(server, "rollout_step", 2, "step 1 of 2, 20 %")
        event(server, "rollout_step", 2, "step 2 of 2, 50 %")
        event(server, "switched", 2)
        event(server, "guarded", 2, "good: of ")
        put(server, 3, "run=fail\n")
        assert "answers failed in" in server.wait_state("m", 3, "quarantined")["reason"]
        event(server, "rolled_back", 3)
        traffic.wait_more(40)
        assert server.model("m")["serving"] == 2
        steps = [e["text"] for e in server.events() if e["event"] == "rollout_step" and e["version"] == 3]
        assert len(steps) == 1, f"version 3 came beyond its first step: {steps}"
        status, metrics = server.rest("GET", "/metrics")
        for line in ('everlit_rollouts_total{model="m",result="promoted"} 1', 'everlit_rollouts_total{model="m",result="taken_back"} 1'):
            assert status == 200 and line in metrics.decode(), metrics
    traffic.assert_clean()
    assert set(traffic.answers) == {1, 2}, f"version 3 was never heard: {traffic.answers}"


def test_by_hand_it_waits_and_goes_on_and_ends():
    with begin("manual: true") as server, Traffic(server, ROWS, EXPECTED, model="m", grpc_threads=2, rest_threads=2) as traffic:
        put(server, 2)
        event(server, "rollout_paused", 2, "waits for `everlit promote m`")
        assert states(server) == {1: "AVAILABLE", 2: "AVAILABLE"}
        shown = " ".join(everlit(server, "status").split())
        assert "m version 2 is in rollout: step 1 of 2, 20 % of the requests" in shown and "it waits for `everlit promote m`" in shown
        assert server.model("m")["rollout"]["state"] == "waiting"
        assert "step 2 of 2, 50 %" in everlit(server, "promote", "m", "--wait")
        assert "version 2 of m answers everybody" in everlit(server, "promote", "m", "2", "--wait")
        assert "no version of m is in rollout: version 2 answers everybody" in everlit(server, "promote", "m", "2")
        put(server, 3)
        event(server, "rollout_step", 3)
        told = json.loads(everlit(server, "abort", "m", "--reason", "not now", "--json"))
        assert (told["operation"], told["changed"], told["done"], told["version"], told["to"]) == ("abort", True, True, 3, 2), told
        server.wait_state("m", 3, "quarantined")
        assert server.model("m")["rollout"] is None
        assert "version 7 of m is not in rollout" in everlit(server, "promote", "m", "7", code=1)
        traffic.wait_more(40)
    traffic.assert_clean()


@pytest.mark.parametrize("how", ["header", "input"])
def test_who_comes_again_gets_the_same_version(how):
    sticky = 'sticky: "header" sticky_header: "X-User"' if how == "header" else 'sticky: "input"'
    with begin("manual: true " + sticky) as server:
        server.wait_serving("m", 1)
        put(server, 2)
        event(server, "rollout_step", 2)

        def ask(user):
            rows = [[5.0 + (user if how == "input" else 0), 6, 7, 8]]
            status, body = server.rest("POST", "/v1/models/m:predict", json.dumps({"instances": rows}), {"x-user": f"user-{user}"})
            assert status == 200, body
            return int(json.loads(body)["predictions"][0][1])
        first = [ask(user) for user in range(100)]
        assert {1, 2} == set(first), f"one in five goes to version 2: {first}"
        assert [ask(user) for user in range(100)] == first
