# SPDX-License-Identifier: Apache-2.0
"""A server started with one of configs.json's command lines, and what records ask of it.

$MODELS, $CONFIGS and $LIVE in arguments, requests and answers stand for the folders of this run.
"""
import base64
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import grpc

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "clients"))
from everlit_protos import (  # noqa: E402
    classification_pb2, get_model_metadata_pb2, get_model_status_pb2, inference_pb2, model_management_pb2, predict_pb2,
    regression_pb2)
from google.protobuf import json_format  # noqa: E402
from tensorflow_serving.apis import session_service_pb2  # noqa: E402

PREDICTION, MODEL = "/tensorflow.serving.PredictionService/", "/tensorflow.serving.ModelService/"
METHODS = {
    PREDICTION + "Predict": (predict_pb2.PredictRequest, predict_pb2.PredictResponse),
    PREDICTION + "Classify": (classification_pb2.ClassificationRequest, classification_pb2.ClassificationResponse),
    PREDICTION + "Regress": (regression_pb2.RegressionRequest, regression_pb2.RegressionResponse),
    PREDICTION + "MultiInference": (inference_pb2.MultiInferenceRequest, inference_pb2.MultiInferenceResponse),
    PREDICTION + "GetModelMetadata": (get_model_metadata_pb2.GetModelMetadataRequest,
                                      get_model_metadata_pb2.GetModelMetadataResponse),
    MODEL + "GetModelStatus": (get_model_status_pb2.GetModelStatusRequest, get_model_status_pb2.GetModelStatusResponse),
    MODEL + "HandleReloadConfigRequest": (model_management_pb2.ReloadConfigRequest,
                                          model_management_pb2.ReloadConfigResponse),
    "/tensorflow.serving.SessionService/SessionRun": (session_service_pb2.SessionRunRequest,
                                                      session_service_pb2.SessionRunResponse),
}


class Place:
    """The folders of one run: the repository's models, the configs with their paths filled in, a live one that changes."""

    def __init__(self):
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="everlit-conformance-"))
        self.configs, self.live = self.scratch / "configs", self.scratch / "live"
        self.configs.mkdir()
        self.live.mkdir()
        self.paths = {"$MODELS": str(HERE / "models"), "$CONFIGS": str(self.configs), "$LIVE": str(self.live)}
        for path in (HERE / "configs").iterdir():
            self.write_config(path.name, path.read_text())

    def filled(self, text):
        for name, path in self.paths.items():
            text = text.replace(name, path)
        return text

    def named(self, text):
        for name, path in sorted(self.paths.items(), key=lambda pair: -len(pair[1])):
            text = text.replace(path, name)
        return text

    def write_config(self, name, text):
        new = self.configs / (name + ".new")
        new.write_text(self.filled(text))
        new.rename(self.configs / name)

    def act(self, step):
        """One step of an action, other than to wait."""
        what = step["do"]
        if what == "copy":
            incoming = self.scratch / "incoming"
            shutil.copytree(HERE / "models" / step["from"], incoming)
            (self.live / step["to"]).parent.mkdir(parents=True, exist_ok=True)
            incoming.rename(self.live / step["to"])
        elif what == "remove":
            (self.live / step["path"]).rename(pathlib.Path(tempfile.mkdtemp(dir=self.scratch)) / "gone")
        elif what == "mkdir":
            (self.live / step["path"]).mkdir(parents=True, exist_ok=True)
        elif what == "touch":
            (self.live / step["path"]).parent.mkdir(parents=True, exist_ok=True)
            (self.live / step["path"]).touch()
        elif what == "config":
            self.write_config(step["name"], step["text"])
        elif what == "sleep":
            time.sleep(step["seconds"])  # as long as the recorded server had, whose poll this outlasts
        else:
            raise ValueError(f"unknown action {what}")

    def clear(self):
        shutil.rmtree(self.scratch, ignore_errors=True)


class Server:
    def __init__(self, command, config, place, log, limit_s):
        self.place, self.limit_s, self.ports = place, limit_s, free_ports()
        line = [*command, *map(place.filled, config["args"]), "--port=%d" % self.ports[0],
                "--rest_api_port=%d" % self.ports[1]]
        self.process = subprocess.Popen(line, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
        self.channel = grpc.insecure_channel("127.0.0.1:%d" % self.ports[0], options=[
            ("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1), ("grpc.enable_retries", 0)])
        end = time.monotonic() + 120
        while not all(map(listens, self.ports)):
            if self.process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise RuntimeError(f"the server did not start: exit status {self.process.returncode}")
            time.sleep(0.05)
        for model, states in config.get("ready", {}).items():
            self.wait(model, states, 60)

    def wait(self, model, states, seconds):
        """None when the model's versions are in these states; else what they are when the time is over."""
        end = time.monotonic() + seconds
        while True:
            found = self.states(model)
            if found == states:
                return None
            if time.monotonic() > end:
                return f"{model}: wanted {states}, is {found}"
            time.sleep(0.1)

    def states(self, model):
        try:
            answer = self.rest("GET", f"/v1/models/{model}", {}, None)
            return {v["version"]: v["state"] for v in json.loads(answer["raw"]).get("model_version_status", [])}
        except (OSError, ValueError, http.client.HTTPException, KeyError):
            return None

    def rest(self, method, path, headers, body):
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[1], timeout=self.limit_s)
        try:
            connection.putrequest(method, path, skip_accept_encoding=True)
            names = {name.lower() for name in headers}
            for name, value in headers.items():
                connection.putheader(name, value)
            if body is not None and not names & {"content-length", "transfer-encoding"}:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            return rest_answer(connection.getresponse())
        finally:
            connection.close()

    def rest_bytes(self, method, data):
        with socket.create_connection(("127.0.0.1", self.ports[1]), self.limit_s) as connection:
            connection.sendall(data)
            response = http.client.HTTPResponse(connection, method=method)
            response.begin()
            return rest_answer(response)

    def ask_rest(self, request):
        if "raw_b64" in request:
            answer = self.rest_bytes(request["method"], base64.b64decode(request["raw_b64"]))
        else:
            body = request.get("body")
            data = base64.b64decode(request["body_b64"]) if "body_b64" in request else \
                None if body is None else self.place.filled(body).encode()
            answer = self.rest(request["method"], self.place.filled(request["path"]), request.get("headers", {}), data)
        try:
            answer["body"] = self.place.named(answer["raw"].decode())
        except UnicodeDecodeError:
            answer["body_b64"] = base64.b64encode(answer["raw"]).decode()
        return answer

    def ask_grpc(self, request):
        data = base64.b64decode(request["b64"])
        if any(name.encode() in data for name in self.place.paths):
            text = self.place.filled(json.dumps(request["json"]))
            data = json_format.Parse(text, METHODS[request["method"]][0]()).SerializeToString(deterministic=True)
        call = self.channel.unary_unary(request["method"])
        try:
            return {"code": "OK", "message": "", "raw": self.named_response(
                request["method"], call(data, timeout=request.get("timeout", self.limit_s)))}
        except grpc.RpcError as error:
            return {"code": error.code().name, "message": self.place.named(error.details() or "")}

    def named_response(self, method, data):
        if method not in METHODS or not any(path.encode() in data for path in self.place.paths.values()):
            return data
        kind = METHODS[method][1]
        text = json_format.MessageToJson(kind.FromString(data), preserving_proto_field_name=True)
        return json_format.Parse(self.place.named(text), kind()).SerializeToString(deterministic=True)

    def ask(self, record):
        return (self.ask_rest if record["kind"] == "rest" else self.ask_grpc)(record["request"])

    def stop(self):
        self.channel.close()
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self.process.poll() is None:
                os.killpg(self.process.pid, number)
                try:
                    self.process.wait(30)
                except subprocess.TimeoutExpired:
                    continue


def rest_answer(response):
    return {"raw": response.read(), "status": response.status, "content_type": response.getheader("Content-Type"),
            "headers": {name.lower(): value for name, value in response.getheaders()}}


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), 0.5).close()
        return True
    except OSError:
        return False


GIVEN = set()  # ports that this process named once: another server may be about to listen there


def free_ports():
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        ports = one.getsockname()[1], other.getsockname()[1]
    if GIVEN & set(ports):
        return free_ports()
    GIVEN.update(ports)
    return ports
