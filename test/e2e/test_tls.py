# SPDX-License-Identifier: Apache-2.0
"""TLS and mutual TLS, for gRPC and for REST; certificates that change; gRPC on REST's port; Unix sockets."""
import contextlib
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess

import pytest

from everlit import (
    LIMIT_S, MODELS, Server, UnixConnection, digits, free_port, grpc, np, predict_request, prediction_service_pb2_grpc, wait_for)


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True)


class Authority:
    """A certificate authority in a folder, and the certificates that it gives."""

    def __init__(self, folder, name):
        self.folder, self.name, self.cert = folder, name, folder / f"{name}.pem"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", 2,
                "-subj", f"/CN={name}", "-keyout", folder / f"{name}.key", "-out", self.cert)

    def give(self, who):
        """(key, certificate) as files."""
        key, cert, request = (self.folder / f"{self.name}-{who}.{end}" for end in ("key", "pem", "csr"))
        extensions = self.folder / "extensions"
        extensions.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={who}",
                "-keyout", key, "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", self.cert, "-CAkey", self.folder / f"{self.name}.key",
                "-CAcreateserial", "-days", 2, "-extfile", extensions, "-out", cert)
        return key, cert


def ssl_config(key, cert, ca=None):
    fields = {"server_key": key.read_text(), "server_cert": cert.read_text()}
    if ca is not None:
        fields["custom_ca"] = ca.read_text()
    text = "".join(f"{name}: {json.dumps(value)}\n" for name, value in fields.items())
    return text + ("client_verify: true\n" if ca is not None else "")


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"), "ours")


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("other"), "theirs")


def replace(path, text):
    beside = path.with_suffix(".new")
    beside.write_text(text)
    os.rename(beside, path)


@contextlib.contextmanager
def serving(config, *flags):
    server = Server("--model_name=digits", f"--model_base_path={MODELS / 'digits'}", "--engine=openvino", *flags)
    server.ssl = server.folder / "ssl.config"
    server.ssl.write_text(config)
    server.flags = [flag.replace("$SSL", str(server.ssl)).replace("$DIR", str(server.folder)) for flag in server.flags]
    with server:
        yield server


def ask(channel, images, timeout=LIMIT_S):
    answer = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(
        predict_request("digits", {"input": images}), timeout=timeout)
    return np.array(answer.outputs["prediction"].float_val, np.float32).reshape(len(images), 10)


def secure(port, ca, key=None, cert=None, where="localhost"):
    credentials = grpc.ssl_channel_credentials(ca.read_bytes(), key and key.read_bytes(), cert and cert.read_bytes())
    return grpc.secure_channel(f"{where}:{port}", credentials, options=[
        ("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)])


def refused(channel):
    with pytest.raises(grpc.RpcError) as error:
        ask(channel, digits()[0][:1], timeout=5)
    return error.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


def context_of(ca, key=None, cert=None, protocols=()):
    context = ssl.create_default_context(cafile=ca)
    if cert is not None:
        context.load_cert_chain(cert, key)
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


def https(port, context, method, path, body=None):
    connection = http.client.HTTPSConnection("localhost", port, timeout=LIMIT_S, context=context)
    connection.request(method, path, body=body)
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    return answer.status, data


def serial(port, ca):
    with socket.create_connection(("localhost", port), timeout=LIMIT_S) as plain:
        with context_of(ca).wrap_socket(plain, server_hostname="localhost") as session:
            return session.getpeercert()["serialNumber"]


def test_grpc_is_encrypted(authority, other):
    images = digits()[0]
    with serving(ssl_config(*authority.give("server")), "--ssl_config_file=$SSL", "--grpc_socket_path=$DIR/s") as server:
        with secure(server.grpc_port, authority.cert) as channel:
            one = ask(channel, images[:1])
            many = ask(channel, np.tile(images, (8, 1)))  # 6 MB
            assert np.allclose(many[0], one[0], atol=1e-5)
        with grpc.insecure_channel(f"localhost:{server.grpc_port}") as channel:
            assert refused(channel)
        with secure(server.grpc_port, other.cert) as channel:
            assert refused(channel)
        assert server.rest("GET", "/v1/models/digits")[0] == 200  # REST is plain, as theirs
        wait_for("the failure in the log",
                 lambda: any(event["event"] == "tls_handshake_failed" for event in server.log_events()))


def test_clients_show_who_they_are(authority, other):
    config = ssl_config(*authority.give("server"), authority.cert)
    key, cert = authority.give("client")
    with serving(config, "--ssl_config_file=$SSL", "--rest_api_ssl_config_file=$SSL") as server:
        with secure(server.grpc_port, authority.cert, key, cert) as channel:
            assert ask(channel, digits()[0][:3]).shape == (3, 10)
        with secure(server.grpc_port, authority.cert) as channel:
            assert refused(channel)
        with secure(server.grpc_port, authority.cert, *other.give("client")) as channel:
            assert refused(channel)
        good = context_of(authority.cert, key, cert)
        assert https(server.rest_port, good, "GET", "/v1/models/digits")[0] == 200
        with pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
            https(server.rest_port, context_of(authority.cert), "GET", "/v1/models/digits")


def test_rest_is_encrypted(authority):
    with serving(ssl_config(*authority.give("server")), "--rest_api_ssl_config_file=$SSL") as server:
        body = json.dumps({"instances": np.tile(digits()[0], (2, 1)).tolist()})  # megabytes
        status, answer = https(server.rest_port, context_of(authority.cert), "POST", "/v1/models/digits:predict", body)
        assert status == 200 and len(json.loads(answer)["predictions"]) == 500
        url = f"https://localhost:{server.rest_port}/v1/models/digits"
        curl = ["curl", "--silent", "--show-error", "--cacert", authority.cert, "--tlsv1.2", url, url]
        out = subprocess.run(curl, stdout=subprocess.PIPE, timeout=LIMIT_S, check=True).stdout
        assert out.count(b"AVAILABLE") == 2  # one connection, kept
        with pytest.raises((ConnectionError, http.client.HTTPException)):
            server.rest("GET", "/v1/models/digits")  # plain HTTP
        wait_for("the reason in the log", lambda: any("http request" in event.get("reason", "")
                                                      for event in server.log_events()))
        with socket.create_connection(("localhost", server.rest_port), timeout=LIMIT_S) as plain:
            with pytest.raises(ssl.SSLError):  # neither HTTP/1.1 nor HTTP/2
                context_of(authority.cert, protocols=["spdy/3"]).wrap_socket(plain, server_hostname="localhost")
        assert server.try_status()


@pytest.mark.parametrize("encrypted", [False, True])
def test_rest_s_port_speaks_grpc_if_asked(authority, encrypted):
    flags = ["--port=0", "--rest_api_accept_grpc"] + ["--rest_api_ssl_config_file=$SSL"] * encrypted
    with serving(ssl_config(*authority.give("server")), *flags) as server:
        image = digits()[0][:1]
        make = (lambda: secure(server.rest_port, authority.cert)) if encrypted else (
            lambda: grpc.insecure_channel(f"localhost:{server.rest_port}"))
        with make() as channel:
            expected = ask(channel, image)
        body = json.dumps({"instances": image.tolist()})
        if encrypted:
            answers = [https(server.rest_port, context_of(authority.cert, protocols=protocols), "POST",
                             "/v1/models/digits:predict", body) for protocols in ((), ("http/1.1",), ("h2", "http/1.1"))]
        else:
            answers = [server.rest("POST", "/v1/models/digits:predict", body)]
        for status, answer in answers:
            assert status == 200 and np.allclose(json.loads(answer)["predictions"], expected, atol=1e-5)


def test_a_certificate_is_replaced_while_the_server_runs(authority):
    with serving(ssl_config(*authority.give("one")), "--ssl_config_file=$SSL") as server:
        with secure(server.grpc_port, authority.cert) as channel:
            ask(channel, digits()[0][:1])
            first = serial(server.grpc_port, authority.cert)
            replace(server.ssl, ssl_config(*authority.give("two")))
            server.process.send_signal(signal.SIGHUP)
            wait_for("the second certificate", lambda: serial(server.grpc_port, authority.cert) != first)
            second = serial(server.grpc_port, authority.cert)
            replace(server.ssl, "server_key: 'no key' server_cert: 'no certificate'")
            wait_for("a refusal without a signal, in the log", lambda: any(
                event["event"] == "tls_not_reloaded" and str(server.ssl) in event["reason"] for event in server.log_events()))
            assert serial(server.grpc_port, authority.cert) == second
            key, _ = authority.give("three")
            _, cert = authority.give("four")
            replace(server.ssl, ssl_config(key, cert))
            wait_for("a refusal of another's key", lambda: any("not the key of server_cert" in event.get("reason", "")
                                                               for event in server.log_events()))
            assert serial(server.grpc_port, authority.cert) == second
            replace(server.ssl, ssl_config(*authority.give("five")))
            wait_for("the fifth certificate", lambda: serial(server.grpc_port, authority.cert) != second)
            ask(channel, digits()[0][:1])  # on the connection of the first


@pytest.mark.parametrize("text,expected", [
    ("server_key: '-----BEGIN PRIVATE KEY-----\\n' server_cert: '-----BEGIN CERTIFICATE-----\\n'", "server_cert: no certificate"),
    ("server_key: 'x'", "server_cert"), ("nonsense", "ssl.config"), (None, "ssl.config")])
def test_a_bad_file_ends_the_start_with_its_name(text, expected):
    server = Server("--model_name=digits", f"--model_base_path={MODELS / 'digits'}")
    path = server.folder / "ssl.config"
    if text is not None:
        path.write_text(text)
    server.flags.append(f"--ssl_config_file={path}")
    server.start(wait=False)
    assert server.process.wait(LIMIT_S) == 255
    assert str(path) in server.log_text() and expected in server.log_text()


def test_unix_sockets_speak_rest_and_grpc(authority):
    with serving("", "--rest_api_socket_path=$DIR/rest", "--grpc_socket_path=$DIR/grpc", "--rest_api_accept_grpc",
                 f"--port={free_port()}") as server:
        rest = UnixConnection(str(server.folder / "rest"))
        rest.request("GET", "/v1/models/digits")
        assert rest.getresponse().status == 200
        rest.close()
        for name in ("grpc", "rest"):
            with grpc.insecure_channel(f"unix:{server.folder / name}") as channel:
                assert ask(channel, digits()[0][:1]).shape == (1, 10)
