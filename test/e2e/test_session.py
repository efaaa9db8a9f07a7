# SPDX-License-Identifier: Apache-2.0
"""SessionService.SessionRun with TensorFlow Serving's own messages: tensors of the graph by their names.

`half` is the conformance test's: y = x / 2 + b; b is 2 in version 1, 4 in version 3.
"""
import pytest

from everlit import LIMIT_S, ROOT, Server, grpc, ndarray, tensor_proto
from everlit_protos import health_pb2, health_pb2_grpc
from tensorflow_serving.apis import session_service_pb2

CONFORMANCE = ROOT / "test" / "conformance" / "models"
CONFIG = """
model_config_list {
  config { name: "half" base_path: "$MODELS/half" model_platform: "tensorflow"
           model_version_policy { all {} } update { engine: "tensorflow" } }
  config { name: "digits" base_path: "$MODELS/digits" model_platform: "tensorflow" update { engine: "openvino" } }
}
"""


@pytest.fixture(scope="module")
def server():
    server = Server(config=CONFIG)
    for version in (1, 3):
        server.put("half", version, CONFORMANCE / "half" / str(version))
    server.put("digits", 2, ROOT / "models" / "digits" / "2")
    with server:
        for version in (1, 3):
            server.wait_state("half", version, "serving")
        server.wait_serving("digits", 2)
        yield server


@pytest.fixture
def run(server):
    with server.channel() as channel:
        call = channel.unary_unary("/tensorflow.serving.SessionService/SessionRun",
                                   request_serializer=session_service_pb2.SessionRunRequest.SerializeToString,
                                   response_deserializer=session_service_pb2.SessionRunResponse.FromString)
        yield lambda *arguments, **named: call(request(*arguments, **named), timeout=LIMIT_S)


def request(feeds, fetches, model="half", version=None, targets=(), alias=False, signature=""):
    message = session_service_pb2.SessionRunRequest(tensor_name_is_alias=alias)
    message.model_spec.name, message.model_spec.signature_name = model, signature
    if version is not None:
        message.model_spec.version.value = version
    for name, value in feeds:
        message.feed.add(name=name, tensor=tensor_proto(value))
    message.fetch.extend(fetches)
    message.target.extend(targets)
    return message


def refused(run, *arguments, **named):
    with pytest.raises(grpc.RpcError) as refusal:
        run(*arguments, **named)
    return refusal.value.code().name, refusal.value.details()


def test_fetches_come_in_the_order_asked_for(run):
    answer = run([("x:0", [[2.0], [4.0]])], ["y:0", "Mul:0"], version=1)
    assert [(named.name, ndarray(named.tensor).tolist()) for named in answer.tensor] == [
        ("y:0", [[3.0], [4.0]]), ("Mul:0", [[1.0], [2.0]])]
    assert answer.model_spec.name == "half" and answer.model_spec.version.value == 1


def test_a_tensor_that_no_signature_names_is_fetched_and_fed(run):
    answer = run([], ["b/Read/ReadVariableOp:0"], version=1)
    assert ndarray(answer.tensor[0].tensor).tolist() == 2.0
    answer = run([("Mul:0", [[40.0]])], ["y"], version=1)
    assert ndarray(answer.tensor[0].tensor).tolist() == [[42.0]]


def test_names_of_a_signature_with_alias(run):
    answer = run([("x", [[2.0]])], ["y"], version=3, alias=True)
    assert ndarray(answer.tensor[0].tensor).tolist() == [[5.0]]
    assert answer.model_spec.signature_name == "serving_default"
    assert refused(run, [("q", [[2.0]])], ["y"], alias=True) == (
        "INVALID_ARGUMENT", "tensor alias not found in signature: q Inputs expected to be in the set {x}.")
    assert refused(run, [("x", [[2.0]])], ["z"], alias=True) == (
        "INVALID_ARGUMENT", "tensor alias not found in signature: z Outputs expected to be in the set {y}.")


def test_what_the_graph_does_not_have_is_said_as_tensorflow_says_it(run):
    x = [("x:0", [[1.0]])]
    assert refused(run, x, ["nope:0"]) == ("NOT_FOUND", "FetchOutputs node nope:0: not found")
    assert refused(run, x, ["y:7"]) == ("INVALID_ARGUMENT", "FetchOutputs y:7: output index too large, must be < 1")
    assert refused(run, [("nope:0", 1.0)], ["y:0"]) == ("NOT_FOUND", "FeedInputs: unable to find feed output nope:0")
    assert refused(run, x, ["y:0"], targets=["nope"]) == (
        "NOT_FOUND", "PruneForTargets: Some target nodes not found: nope ")
    assert refused(run, x, ["x:0"]) == ("INVALID_ARGUMENT", "x:0 is both fed and fetched.")
    assert refused(run, [], ["y:0"])[1].startswith("You must feed a value for placeholder tensor 'tf_example'")
    assert refused(run, x * 2, ["y:0"])[0] == "INVALID_ARGUMENT"
    assert refused(run, [("x:0", 1)], ["y:0"])[0] == "INVALID_ARGUMENT"  # an int64 where a float goes
    assert refused(run, x, [])[0] == "INVALID_ARGUMENT"


def test_targets_run_without_a_fetch(run):
    assert len(run([("x:0", [[1.0]])], [], targets=["y"]).tensor) == 0


def test_the_model_is_looked_up_as_for_predict(run):
    assert refused(run, [], ["y:0"], model="nobody") == ("NOT_FOUND", "Servable not found for request: Latest(nobody)")
    assert refused(run, [], ["y:0"], version=9) == ("NOT_FOUND", "Servable not found for request: Specific(half, 9)")
    assert refused(run, [], ["y:0"], model="") == ("INVALID_ARGUMENT", "ModelSpec has no name specified.")


def test_an_engine_without_tensors_says_so(run):
    code, text = refused(run, [], ["y:0"], model="digits")
    assert code == "UNIMPLEMENTED" and "openvino" in text and "tensorflow" in text


def test_health_knows_the_names_that_tensorflow_serving_registers_and_models(server):
    with server.channel() as channel:
        check = health_pb2_grpc.HealthStub(channel).Check
        for service in ("", "PredictionService", "ModelService", "half", "digits"):
            answer = check(health_pb2.HealthCheckRequest(service=service), timeout=LIMIT_S)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING, service
        with pytest.raises(grpc.RpcError) as refusal:
            check(health_pb2.HealthCheckRequest(service="tensorflow.serving.PredictionService"), timeout=LIMIT_S)
        assert (refusal.value.code().name, refusal.value.details()) == ("NOT_FOUND", "service name unknown")
