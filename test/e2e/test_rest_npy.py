# SPDX-License-Identifier: Apache-2.0
"""Arrays of NumPy in and out of REST :predict, with curl as docs/rest.md says, and what is refused.

`digits` has one input and one output a signature; `pair`, `types`, `labels` are the conformance test's: more inputs, more
dtypes, strings."""
import io
import json
import subprocess

import pytest

from everlit import LIMIT_S, MODELS, ROOT, Server, digits, np

CONFORMANCE = ROOT / "test" / "conformance" / "models"
CONFIG = """
model_config_list {
  config { name: "digits" base_path: "$MODELS/digits" model_platform: "tensorflow" update { engine: "openvino" } }
  config { name: "metadata" base_path: "$MODELS/metadata" model_platform: "tensorflow" update { engine: "openvino" } }
  config { name: "pair" base_path: "$MODELS/pair" model_platform: "tensorflow" update { engine: "tensorflow" } }
  config { name: "texts" base_path: "$MODELS/texts" model_platform: "tensorflow" update { engine: "tensorflow" } }
}
"""
NPY, JSON = "application/x-npy", "application/json"


@pytest.fixture(scope="module")
def server():
    server = Server(config=CONFIG)
    for name in ("digits", "metadata"):
        server.put(name, 2, MODELS / "digits" / "2")
    for name in ("pair", "texts"):
        server.put(name, 1, CONFORMANCE / name / "1")
    with server:
        for name, version in (("digits", 2), ("metadata", 2), ("pair", 1), ("texts", 1)):
            server.wait_serving(name, version)
        yield server


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def error(answer):
    status, body = answer
    return status, json.loads(body)["error"]


def test_curl_sends_and_gets_arrays(server, tmp_path):
    images, labels = digits()
    np.save(tmp_path / "x.npy", images)
    subprocess.run(["curl", "-sSf", "--max-time", str(LIMIT_S), "--data-binary", f"@{tmp_path}/x.npy", "-H", f"Content-Type: {NPY}",
                    "-o", tmp_path / "y.npy", f"localhost:{server.rest_port}/v1/models/digits:predict"], check=True)
    answer = np.load(tmp_path / "y.npy")
    assert answer.dtype == np.float32 and answer.shape == (len(images), 10)
    assert (answer.argmax(1) == labels).mean() > 0.9
    status, rows = server.rest("POST", "/v1/models/digits:predict", {"instances": images[:5].tolist()})
    assert status == 200
    np.testing.assert_allclose(np.array(json.loads(rows)["predictions"]), answer[:5], rtol=1e-4)


def test_accept_decides_the_form_of_the_answer(server):
    image = digits()[0][:1]
    path = "/v1/models/digits/versions/2:predict"
    _, array = server.rest("POST", path, npy(image))  # the magic is enough
    status, text = server.rest("POST", path, npy(image), {"Accept": JSON})
    assert status == 200
    np.testing.assert_allclose(json.loads(text)["outputs"], np.load(io.BytesIO(array)), rtol=1e-6)
    status, array_too = server.rest("POST", path, {"instances": image.tolist()}, {"Accept": f"{NPY}, */*"})
    assert status == 200 and array_too == array
    status, _ = server.rest("POST", path, npy(image), {"Content-Type": "application/octet-stream", "Accept": "*/*"})
    assert status == 200


def test_signature_and_output_are_named_in_the_query(server):
    image = digits()[0][:3]
    status, array = server.rest("POST", "/v1/models/digits:predict?signature_name=features", npy(image))
    assert status == 200 and np.load(io.BytesIO(array)).ndim == 2
    assert error(server.rest("POST", "/v1/models/digits:predict?signature_name=no%20such&output=x", npy(image))) == (
        400, 'Serving signature name: "no such" not found in signature def')
    assert error(server.rest("POST", "/v1/models/digits:predict?output=nope", npy(image))) == (
        400, 'signature "serving_default" has no output "nope", but prediction')


def test_what_does_not_fit_is_refused_with_what_to_do(server):
    image = digits()[0][:1]
    path = "/v1/models/digits:predict"
    assert error(server.rest("POST", path, npy(image.astype(np.float64)))) == (
        400, "input \"input\" is DT_FLOAT, the array's dtype is <f8 (in NumPy: array.astype('<f4'))")
    status, text = error(server.rest("POST", path, npy(image)[:-1]))
    assert status == 400 and "3135 bytes after the header" in text
    status, text = error(server.rest("POST", path, "{}", {"Content-Type": NPY}))
    assert status == 400 and "is no .npy file" in text
    status, text = error(server.rest("POST", path, npy(np.array(["a"]))))
    assert status == 400 and "'<U1'" in text
    status, text = error(server.rest("POST", "/v1/models/pair:predict", npy(image)))
    assert status == 400 and "inputs, and a .npy body is one" in text
    status, text = error(server.rest("POST", "/v1/models/texts:predict", npy(image)))
    assert status == 400
    assert server.rest("POST", path, npy(image))[0] == 200


def test_a_model_may_be_called_what_the_api_calls_its_parts(server):
    """TensorFlow Serving's expression takes a name where it can: only without one is `versions` a word of its own."""
    status, body = server.rest("GET", "/v1/models/metadata")
    assert status == 200 and json.loads(body)["model_version_status"][0]["version"] == "2"
    assert json.loads(server.rest("GET", "/v1/models/metadata/metadata")[1])["model_spec"]["name"] == "metadata"
    for path, text in {"/v1/models/m": "Could not find any versions of model m",
                       "/v1/models/versions": "Could not find any versions of model versions",
                       "/v1/models/versions/1": "Missing model name in request.",
                       "/v1/models/labels/x/metadata": "Missing model name in request.",
                       "/v1/models/versions/versions/1": "Could not find version 1 of model versions",
                       "/v1/models/meta": "Could not find any versions of model meta"}.items():
        assert error(server.rest("GET", path))[1] == text, path
    assert error(server.rest("POST", "/v1/models/versions/1:predict", "{}")) == (
        400, "Malformed request: POST /v1/models/versions/1:predict")
