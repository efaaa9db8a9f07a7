# SPDX-License-Identifier: Apache-2.0
"""Connections of the daemon: gRPC's channel arguments, and one client's flood beside another's requests."""
import gzip
import json

import pytest

from everlit import LIMIT_S, MODELS, Server, digits, grpc, np, predict_request, prediction_service_pb2_grpc

DIGITS = ["--model_name=digits", "--engine=openvino", f"--model_base_path={MODELS / 'digits'}"]


def channel_of(server):
    return grpc.insecure_channel(f"localhost:{server.grpc_port}", options=[("grpc.use_local_subchannel_pool", 1)])


def test_channel_arguments_have_their_meaning():
    arguments = ("grpc.max_receive_message_length=20000,grpc.max_send_message_length=1000,grpc.lb_policy_name=grpclb,"
                 "grpc.max_metadata_size=5000,grpc.keepalive_time_ms=soon,nonsense,")
    image = digits()[0][:1]
    with Server(*DIGITS, f"--grpc_channel_arguments={arguments}") as server, channel_of(server) as channel:
        predict = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict
        predict(predict_request("digits", {"input": image}), timeout=LIMIT_S)
        for request, metadata, details in (
                (predict_request("digits", {"input": np.tile(image, (10, 1))}), (), "Received message larger than max"),
                (predict_request("digits", {"input": image}), (("big", "x" * 6000),), "metadata size")):
            with pytest.raises(grpc.RpcError) as error:
                predict(request, timeout=LIMIT_S, metadata=metadata)
            assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
            assert details in error.value.details()
        status, _ = server.rest("POST", "/v1/models/digits:predict", {"instances": np.tile(image, (20, 1)).tolist()})
        assert status == 200  # REST has its own limit
        warned = {event["name"]: event["reason"] for event in server.log_events()
                  if event["event"] == "channel_argument_without_effect"}
        assert set(warned) == {"grpc.lb_policy_name", "grpc.keepalive_time_ms", "nonsense"}


def test_old_connections_end_without_a_loss():
    request = predict_request("digits", {"input": digits()[0][:1]})
    with Server(*DIGITS, "--grpc_channel_arguments=grpc.max_connection_age_ms=500") as server, channel_of(server) as channel:
        predict = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict
        looks = 0
        grpc_connections = 0
        while grpc_connections < 3:
            for _ in range(50):
                predict(request, timeout=LIMIT_S)
            looks += 1  # each look is a connection of REST
            lines = server.rest("GET", "/metrics")[1].decode().splitlines()
            grpc_connections = next(int(line.split()[-1]) for line in lines
                                    if line.startswith("everlit_connections_accepted_total")) - looks


def test_answers_take_the_forms_that_flags_ask_for():
    body = {"instances": np.tile(digits()[0], (4, 1)).tolist()}
    with Server(*DIGITS, "--rest_api_compression", "--enable_serialization_as_tensor_content") as server, \
            channel_of(server) as channel:
        plain = server.rest("POST", "/v1/models/digits:predict", body)
        packed = server.rest("POST", "/v1/models/digits:predict", gzip.compress(json.dumps(body).encode()),
                             {"Accept-Encoding": "gzip", "Content-Encoding": "gzip"})
        assert plain[0] == packed[0] == 200 and len(packed[1]) < len(plain[1])
        assert gzip.decompress(packed[1]) == plain[1]
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        output = stub.Predict(predict_request("digits", {"input": np.asarray(body["instances"], np.float32)}),
                              timeout=LIMIT_S).outputs["prediction"]
        assert not output.float_val  # the same numbers as REST's, as bytes
        numbers = np.frombuffer(output.tensor_content, np.float32).reshape([dim.size for dim in output.tensor_shape.dim])
        np.testing.assert_allclose(numbers, json.loads(plain[1])["predictions"], rtol=1e-6)
        assert server.rest("HEAD", "/v1/models/digits") == (200, b"")
        assert server.rest("HEAD", "/v1/models/nothere") == (404, b"")


def test_a_flood_on_one_connection_leaves_room_for_others():
    images = digits()[0]
    flood = predict_request("digits", {"input": np.tile(images, (4, 1))})
    with Server(*DIGITS) as server, channel_of(server) as greedy, channel_of(server) as modest:
        ask = prediction_service_pb2_grpc.PredictionServiceStub(greedy).Predict.future
        # Under a sanitizer fewer are flood enough: the last of a thousand would not arrive in time.
        futures = [ask(flood, timeout=LIMIT_S) for _ in range(1000 if LIMIT_S <= 60 else 200)]
        one = prediction_service_pb2_grpc.PredictionServiceStub(modest).Predict
        for _ in range(100):
            answer = one(predict_request("digits", {"input": images[:1]}), timeout=LIMIT_S)
            assert answer.outputs["prediction"].tensor_shape.dim[0].size == 1
        status, body = server.rest("POST", "/v1/models/digits:predict", {"instances": images[:1].tolist()})
        assert status == 200 and len(json.loads(body)["predictions"]) == 1
        for future in futures:  # and it is answered, too
            assert future.result().outputs["prediction"].tensor_shape.dim[0].size == len(images) * 4
