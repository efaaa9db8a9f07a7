# SPDX-License-Identifier: Apache-2.0
"""Two models that change together, under load: no two answers of one generation come from versions that do not belong together."""
import collections
import http.client
import json
import threading

import grpc

from everlit import LIMIT_S, MODELS, Server, np, predict_pb2, prediction_service_pb2_grpc, tensor_proto, wait_for

CONFIG = """
model_config_list {
  config { name: "tokenizer" base_path: "$MODELS/tokenizer" model_platform: "tensorflow" update { %s } }
  config { name: "ranker" base_path: "$MODELS/ranker" model_platform: "tensorflow" update { %s } }
}
"""
UPDATE = 'engine: "test" max_latency_ratio: -1 guard_ms: 0 group: "ranking" group_wait_ms: 60000 keep_warm_ms: 2000'
HEADER = "x-everlit-generation"
ROW = np.array([[1, 2, 3, 4]], dtype=np.float32)


class Pairs:
    """Clients that ask the tokenizer, and then the ranker under the generation of that answer."""

    def __init__(self, server, clients=4):
        self.server, self.end, self.errors, self.gone, self.pairs = server, threading.Event(), [], 0, 0
        self.heard = collections.defaultdict(set)  # versions of each generation
        self.threads = [threading.Thread(target=self.run) for _ in range(clients)]

    def ask(self, stub, model, metadata=()):
        request = predict_pb2.PredictRequest()
        request.model_spec.name = model
        request.inputs["input"].CopyFrom(tensor_proto(ROW))
        answer, call = stub.Predict.with_call(request, timeout=30, metadata=metadata)
        return dict(call.initial_metadata())[HEADER], int(answer.outputs["prediction"].float_val[1])

    def run(self):
        with self.server.channel() as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            while not self.end.is_set():
                try:
                    generation, first = self.ask(stub, "tokenizer")
                    again, second = self.ask(stub, "ranker", [(HEADER, generation)])
                except grpc.RpcError as error:
                    if error.code() == grpc.StatusCode.FAILED_PRECONDITION and "begin again" in error.details():
                        self.gone += 1  # the client slept through keep_warm_ms
                    else:
                        self.errors.append(error)
                    continue
                if again != generation:
                    self.errors.append(f"asked for generation {generation}, the answer says {again}")
                self.heard[generation].add((first, second))
                self.pairs += 1

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *unused):
        self.end.set()
        for thread in self.threads:
            thread.join()

    def wait_more(self, count):
        to = self.pairs + count
        wait_for(lambda: f"{count} more pairs; {self.errors[:3]}", lambda: self.pairs >= to or self.errors)


def test_pairs_of_one_generation_belong_together():
    server = Server(config=CONFIG % (UPDATE, UPDATE))
    server.put_test("tokenizer", 1)
    server.put_test("ranker", 1)
    with server:
        server.wait_serving("ranker", 1)
        server.wait_serving("tokenizer", 1)
        with Pairs(server) as pairs:
            for number in range(2, 7):
                pairs.wait_more(50)
                server.put_test(*(("tokenizer", number) if number % 2 else ("ranker", number)))
                pairs.wait_more(20)
                server.put_test(*(("ranker", number) if number % 2 else ("tokenizer", number)))
                server.wait_serving("ranker", number)
                assert server.model("tokenizer")["serving"] == number
            pairs.wait_more(50)
        assert not pairs.errors, pairs.errors[:3]
        assert len(pairs.heard) == 6 and pairs.gone < pairs.pairs / 10, (pairs.heard, pairs.gone)
        for generation, versions in pairs.heard.items():
            assert len(versions) == 1 and len(set(next(iter(versions)))) == 1, f"generation {generation}: {versions}"

        body = json.dumps({"instances": ROW.tolist()})
        path = "/v1/models/ranker:predict"
        connection = http.client.HTTPConnection("localhost", server.rest_port, timeout=LIMIT_S)
        connection.request("POST", path, body)
        answer = connection.getresponse()
        answer.read()
        now = server.model("ranker")["generations"][0]["generation"]
        assert (answer.status, answer.headers[HEADER]) == (200, str(now))
        for wanted, code, text in (("99", 412, "not there"), ("x", 400, "expected the number"), (str(now), 200, "predictions")):
            connection.request("POST", path, body, {HEADER: wanted})
            answer = connection.getresponse()
            said = answer.read().decode()
            assert answer.status == code and text in said, (wanted, answer.status, said)
        connection.close()
