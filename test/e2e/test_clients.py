# SPDX-License-Identifier: Apache-2.0
"""Clients that are not Python's: a Go program with stubs from the public protos, ghz, curl, and KServe's v1 protocol over it."""
import json
import os
import subprocess

import pytest

from everlit import LIMIT_S, MODELS, ROOT, Server, digits, np

GO_CLIENT = os.environ.get("EVERLIT_GO_CLIENT", str(ROOT / "build/test-tools/go-client"))
GHZ = os.environ.get("EVERLIT_GHZ", str(ROOT / "build/test-tools/ghz"))


@pytest.fixture(scope="module")
def server():
    with Server("--model_name=digits", "--engine=openvino", f"--model_base_path={MODELS / 'digits'}") as server:
        server.wait_serving("digits", 2)
        yield server


@pytest.mark.skipif(not os.access(GO_CLIENT, os.X_OK), reason=f"no {GO_CLIENT}: install Go, then type `tools/setup --test`")
def test_go_with_generated_stubs(server):
    images, labels = digits()
    run = subprocess.run([GO_CLIENT, f"localhost:{server.grpc_port}", "digits", "input"], input=images[0].tobytes(),
                         capture_output=True, timeout=LIMIT_S, check=True)
    answer = json.loads(run.stdout)
    assert answer["version"] == 2
    assert np.argmax(answer["outputs"]["prediction"]) == labels[0]
    run = subprocess.run([GO_CLIENT, f"localhost:{server.grpc_port}", "nobody", "input"], input=b"", capture_output=True,
                         timeout=LIMIT_S)
    assert run.returncode == 1 and b"Could not find any versions of model nobody" in run.stderr


@pytest.mark.skipif(not os.access(GHZ, os.X_OK), reason=f"no {GHZ}: install Go, then type `tools/setup --test`")
def test_ghz_by_reflection_from_many_connections(server):
    """It learns the messages from the server, and none of its requests fails."""
    images, _ = digits()
    request = {"model_spec": {"name": "digits"}, "inputs": {"input": {
        "dtype": "DT_FLOAT", "tensor_shape": {"dim": [{"size": 2}, {"size": 784}]}, "float_val": images[:2].ravel().tolist()}}}

    def ghz(count, **request):
        (server.folder / "ghz.json").write_text(json.dumps(request))
        run = subprocess.run([GHZ, "--insecure", "--call=tensorflow.serving.PredictionService/Predict", f"--total={count}",
                              "--concurrency=8", "--connections=4", "--format=json", f"--data-file={server.folder}/ghz.json",
                              f"localhost:{server.grpc_port}"], text=True, capture_output=True, timeout=LIMIT_S, check=True)
        return json.loads(run.stdout)
    report = ghz(400, **request)
    assert (report["count"], report["statusCodeDistribution"]) == (400, {"OK": 400}), report["errorDistribution"]
    report = ghz(16, **{**request, "model_spec": {"name": "nobody"}})
    assert report["statusCodeDistribution"] == {"NotFound": 16}


def curl(server, *arguments):
    """Status and body of a request by curl."""
    run = subprocess.run(["curl", "-sS", "--max-time", str(LIMIT_S), "-w", "\n%{http_code}", *arguments[:-1],
                          f"http://localhost:{server.rest_port}{arguments[-1]}"], capture_output=True, check=True)
    body, status = run.stdout.rsplit(b"\n", 1)
    return int(status), body


def test_kserve_v1_is_served_as_by_its_tensorflow_runtime(server):
    """Ready is what answers 200; predict is `instances` to `predictions`."""
    images, labels = digits()
    status, body = curl(server, "/v1/models/digits")
    assert status == 200 and json.loads(body)["model_version_status"][0]["state"] == "AVAILABLE"
    assert curl(server, "/v1/models/nobody")[0] == 404
    status, body = curl(server, "-d", json.dumps({"instances": images[:3].tolist()}), "/v1/models/digits:predict")
    assert status == 200
    assert np.array(json.loads(body)["predictions"]).argmax(1).tolist() == labels[:3].tolist()


def test_curl_compresses_keeps_the_connection_and_waits_to_be_told_to_continue(server):
    images, _ = digits()
    request = json.dumps({"instances": images[:15].tolist()})
    plain = curl(server, "-d", request, "/v1/models/digits:predict")
    assert plain[0] == 200
    assert curl(server, "-H", "Expect: 100-continue", "-H", "Transfer-Encoding: chunked", "--compressed", "-d", request,
                "/v1/models/digits:predict") == plain
