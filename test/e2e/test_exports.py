# SPDX-License-Identifier: Apache-2.0
"""SavedModels of every kind of export (models/recipes/features.py), against TensorFlow's own answers; conformance's are TensorFlow 1's and
2's, those of models/ TensorFlow 2's. EVERLIT_TEST_BIG=1 adds one with more than 2 GB of variables: some seconds and 5 GB of memory."""
import json
import os
import pathlib
import shutil

import pytest

from everlit import LIMIT_S, ROOT, Server, ndarray, np, predict_request, prediction_service_pb2_grpc

FORMATS = ROOT / "test" / "data" / "models"
NAMES = ("ragged", "sparse", "keras3", "sharded", "tf1")


def config(*models):
    return "model_config_list {\n%s}\n" % "".join(
        f'config {{ name: "{name}" base_path: "$MODELS/{name}" model_platform: "tensorflow" }}\n' for name in models)


@pytest.fixture(scope="module")
def server():
    server = Server(config=config(*NAMES))
    for name in NAMES:
        server.put(name, 1, FORMATS / name / "1")
    with server:
        yield server


def array(plain):
    values = [v.encode() for v in plain["values"]] if plain["dtype"] == "string" else plain["values"]
    return np.array(values, object if plain["dtype"] == "string" else plain["dtype"]).reshape(plain["shape"])


def check(server, name):
    """Each recorded question gets TensorFlow's answer."""
    with server.channel() as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        for case in json.loads((FORMATS / name / "answers.json").read_text())["cases"]:
            answer = stub.Predict(predict_request(name, {k: array(v) for k, v in case["inputs"].items()}), timeout=LIMIT_S)
            assert sorted(answer.outputs) == sorted(case["outputs"])
            for key, plain in case["outputs"].items():
                expected, output = array(plain), ndarray(answer.outputs[key])
                assert (output.dtype, output.shape) == (expected.dtype, expected.shape), (case["name"], key)
                np.testing.assert_allclose(output, expected, rtol=1e-5, atol=1e-6, err_msg=f"{case['name']}: {key}")


@pytest.mark.parametrize("name", NAMES)
def test_answers_are_tensorflows(server, name):
    version = server.wait_state(name, 1, "serving", "quarantined")
    assert version["state"] == "serving", version
    check(server, name)


def test_a_shard_that_is_missing_is_waited_for(server):
    half = server.folder / "half"
    shutil.copytree(FORMATS / "sharded" / "1", half)
    kept = half / "variables" / "variables.data-00003-of-00005"
    last = kept.read_bytes()
    kept.unlink()
    server.put("sharded", 2, half)
    server.wait("a look at sharded version 2", lambda: server.version("sharded", 2))
    assert server.model("sharded")["serving"] == 1
    (server.base("sharded") / "2" / "variables" / kept.name).write_bytes(last)
    server.wait_serving("sharded", 2)


def test_an_asset_that_leads_out_of_the_version_is_refused_with_the_reason(server):
    out = server.folder / "out"
    shutil.copytree(FORMATS / "tf1" / "1", out)
    graph = (out / "saved_model.pb").read_bytes()
    assert graph.count(b"\x12\x0aplaces.txt") == 1  # asset_file_def's filename
    (out / "saved_model.pb").write_bytes(graph.replace(b"\x12\x0aplaces.txt", b"\x12\x0a../etc/pas"))
    server.put("tf1", 2, out)
    reason = server.wait_state("tf1", 2, "quarantined")["reason"]
    assert 'the graph names an asset "../etc/pas", which leads out of assets/' in reason
    check(server, "tf1")


@pytest.mark.skipif("EVERLIT_TEST_BIG" not in os.environ, reason="set EVERLIT_TEST_BIG=1: it needs 5 GB of memory")
def test_more_than_2_gb_of_variables():
    server = Server("--engine=tensorflow", config=config("big"))
    made = pathlib.Path(server.folder) / "made"
    shutil.copytree(FORMATS / "big" / "1", made)
    with open(made / "variables" / "variables.data-00000-of-00001", "wb") as data:
        data.truncate(70_000_000 * 32 - 32)  # a hole: no disk is used
        data.seek(0, os.SEEK_END)
        data.write(np.arange(1, 9, dtype=np.float32).tobytes())
    os.rename(made, server.base("big") / "1")
    with server:
        version = server.wait_state("big", 1, "serving", "quarantined", limit_s=4 * LIMIT_S)
        assert version["state"] == "serving", version
        check(server, "big")
