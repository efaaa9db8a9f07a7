# SPDX-License-Identifier: Apache-2.0
"""REST by HTTP/2, asked by curl: the same answers, limits and ends as by HTTP/1, and gRPC beside it on the one port."""
import gzip
import json
import subprocess

import pytest

from everlit import LIMIT_S, MODELS, Server, digits, grpc, np, wait_for
from test_tls import ask, authority, secure, serving, ssl_config  # noqa: F401 (authority is a fixture)

DIGITS = ["--model_name=digits", "--engine=openvino", f"--model_base_path={MODELS / 'digits'}"]
PREDICT = "/v1/models/digits:predict"
H2 = "--http2-prior-knowledge"


def start_curl(*arguments):
    return subprocess.Popen(["curl", "--silent", "--show-error", "--include", "--max-time", str(int(LIMIT_S)), *map(str, arguments)],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def parse(out):
    """(version and code, headers, body) of the last answer."""
    head, _, body = out.partition(b"\r\n\r\n")
    while head.split(b" ")[1] == b"100":
        head, _, body = body.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return first.split()[:2], {k.lower(): v for k, v in (line.split(": ", 1) for line in lines)}, body


def curl(*arguments, body=None):
    process = start_curl(*arguments)
    out, error = process.communicate(body, timeout=LIMIT_S)
    assert process.returncode == 0, error
    return parse(out)


def test_the_answers_are_those_of_http_1():
    images = digits()[0]
    small, large = ({"instances": np.tile(images, (n, 1))[:m].tolist()} for n, m in ((1, 3), (8, None)))
    with Server(*DIGITS, "--rest_api_enable_cors_support", "--rest_api_compression") as server:
        url = f"http://localhost:{server.rest_port}"
        for arguments, path, body in (
                ([], "/v1/models/digits", None), ([], "/v1/models/digits/metadata", None), ([], "/metrics/no", None),
                ([], "/v1/models/nobody", None), (["--head"], "/v1/models/digits", None), (["-XTRACE"], "/v1/models/digits", None),
                (["-XOPTIONS", "-HOrigin: http://x"], PREDICT, None), (["-XDELETE"], PREDICT, None),
                (["--data-binary", "@-"], PREDICT, json.dumps(small)), (["--data-binary", "@-"], PREDICT, "{"),
                (["--data-binary", "@-", "-HExpect: 100-continue"], PREDICT, json.dumps(large)),  # 6 MB
                (["--data-binary", "@-", "-HExpect: 200-ok"], PREDICT, "{}"),
                (["--data-binary", "@-", "-HContent-Encoding: gzip"], PREDICT, gzip.compress(json.dumps(small).encode())),
                (["--data-binary", "@-", "-HAccept-Encoding: gzip"], PREDICT, json.dumps(large))):
            raw = body.encode() if isinstance(body, str) else body
            one, two = (curl(*how, *arguments, url + path, body=raw) for how in (["--http1.1"], [H2]))
            assert (one[0][0], two[0][0]) == ("HTTP/1.1", "HTTP/2") and one[0][1] == two[0][1], (path, one[0], two[0])
            for headers in (one[1], two[1]):
                headers.pop("date")
                headers.pop("connection", None)
            assert one[1] == two[1], path
            assert one[2] == two[2], path


def test_limits_are_those_of_http_1():
    with Server(*DIGITS, "--max_message_bytes=100000") as server:
        url = f"http://localhost:{server.rest_port}/v1/models/digits"
        bomb = gzip.compress(b"[" * 1000000)
        for how in ("--http1.1", H2):
            codes = [curl(how, *arguments, url + path, body=body)[0][1] for arguments, path, body in (
                (["--data-binary", "@-"], ":predict", b"x" * 200000),
                (["-T", "-", "-XPOST"], ":predict", b"x" * 200000),  # of unknown length
                (["--data-binary", "@-", "-HContent-Encoding: gzip"], ":predict", bomb),
                ([], "/" + "x" * 60000, None))]
            assert codes == ["413", "413", "413", "400"], how
        many = [f"-Hmany-{i}: {'x' * 150}" for i in range(350)]  # 70 kB as HTTP/2 counts them, below what curl sends
        assert curl(H2, *many, url)[0] == ["HTTP/2", "431"]
        assert curl(H2, url)[0] == ["HTTP/2", "200"]


def test_a_drain_waits_for_what_runs():
    with Server(*DIGITS) as server:
        process = start_curl(H2, "-T", "-", "-XPOST", f"http://localhost:{server.rest_port}{PREDICT}")
        text = json.dumps({"instances": digits()[0][:1].tolist()}).encode()
        process.stdin.write(text[:50])
        process.stdin.flush()
        wait_for("its connection beside this look's", lambda: b"everlit_connections_open 2\n" in server.rest("GET", "/metrics")[1])
        server.process.terminate()
        wait_for("the drain", lambda: any(event["event"] == "stopping" for event in server.log_events()))
        out, error = process.communicate(text[50:], timeout=LIMIT_S)
        assert process.returncode == 0, error
        assert parse(out)[0] == ["HTTP/2", "200"]
        assert server.process.wait(LIMIT_S) == 0


def test_events_are_followed():
    with Server(*DIGITS) as server:
        process = start_curl(H2, "--no-buffer", "--unix-socket", server.socket, "http://localhost/admin/v1/events?after=0&follow=1")
        lines = []
        while not any(b'"serving"' in line for line in lines):
            lines.append(process.stdout.readline())
            assert lines[-1], process.stderr.read()
        assert lines[0].startswith(b"HTTP/2 200")
        process.kill()
        process.communicate()


@pytest.mark.parametrize("encrypted", [False, True])
def test_one_port_speaks_all(authority, encrypted):  # noqa: F811
    flags = ["--port=0", "--rest_api_accept_grpc"] + ["--rest_api_ssl_config_file=$SSL"] * encrypted
    with serving(ssl_config(*authority.give("server")), *flags) as server:
        image = digits()[0][:1]
        url = f"http{'s' if encrypted else ''}://localhost:{server.rest_port}{PREDICT}"
        ways = (["--http1.1"], ["--http2"]) if encrypted else (["--http1.1"], [H2])
        trust = ["--cacert", authority.cert] if encrypted else []
        with secure(server.rest_port, authority.cert) if encrypted else \
                grpc.insecure_channel(f"localhost:{server.rest_port}") as channel:
            expected = ask(channel, image)
        for way, version in zip(ways, ("HTTP/1.1", "HTTP/2")):
            first, _, answer = curl(*way, *trust, "--data-binary", "@-", url, body=json.dumps({"instances": image.tolist()}).encode())
            assert first == [version, "200"]
            assert np.allclose(json.loads(answer)["predictions"], expected, atol=1e-5)
        if encrypted:  # many at once on a connection; curl 7.88 cannot do that without TLS
            many = ["curl", "--silent", "--show-error", "--http2", *trust, "--parallel", "--parallel-max", "100"]
            out = subprocess.run([*map(str, many), *[url.removesuffix(":predict")] * 200], stdout=subprocess.PIPE,
                                 timeout=LIMIT_S, check=True).stdout
            assert out.count(b"AVAILABLE") == 200


def test_grpc_is_told_where_it_is_not_spoken():
    with Server(*DIGITS) as server, grpc.insecure_channel(f"localhost:{server.rest_port}") as channel:
        with pytest.raises(grpc.RpcError) as error:
            ask(channel, digits()[0][:1])
        assert error.value.code() == grpc.StatusCode.UNIMPLEMENTED and "--rest_api_accept_grpc" in error.value.details()
