# SPDX-License-Identifier: Apache-2.0
"""What operators do by hand, under traffic: not one request fails, and what was said holds after a kill."""
import http.client
import json
import os
import pwd
import signal
import subprocess

import pytest

from digits import GOOD, MINIATURE, digits_server
from everlit import BUILD, LIMIT_S, ROOT, Traffic, UnixConnection, free_port

ME = pwd.getpwuid(os.getuid()).pw_name


def everlit(server, *arguments):
    """(exit status, standard output, standard error)"""
    done = subprocess.run([BUILD / "src/cmd/everlit", "--socket", server.socket, *arguments], capture_output=True, text=True,
                          timeout=4 * LIMIT_S)
    return done.returncode, done.stdout, done.stderr


def well(server, *arguments):
    code, out, error = everlit(server, *arguments)
    assert (code, error) == (0, ""), f"everlit {' '.join(arguments)}: {out}{error}"
    return out


def post(connection, path, body=None, headers=None):
    connection.request("POST", path, body=None if body is None else json.dumps(body), headers=headers or {})
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def state_server():
    server = digits_server(more="keep_warm_ms: 600000")
    server.state = server.folder / "state"
    server.flags.append(f"--state_dir={server.state}")
    return server


def test_by_hand_under_traffic_and_through_a_kill(images, answers):
    expected = {1: answers[2], 2: answers[1], 3: answers[3]}
    with state_server() as server:
        server.wait_serving("digits", 1)
        with Traffic(server, images, expected, grpc_threads=4, rest_threads=4) as traffic:
            for number, source in ((2, GOOD[1]), (3, MINIATURE)):
                server.put("digits", number, source)
                server.wait_serving("digits", number)
            traffic.wait_more(50)

            told = json.loads(well(server, "rollback", "digits", "--reason", "dark images", "--json"))
            assert (told["from"], told["to"], told["done"], told["changed"], told["remembered"]) == (3, 2, True, True, True), told
            assert server.model("digits")["serving"] == 2
            assert server.model("digits")["pin"]["by"] == ME
            traffic.wait_more(50)
            assert "is pinned to version 2 already" in well(server, "rollback", "digits", "--to", "2")
            assert "answers with version 1, before with version 2" in well(server, "rollback", "digits", "--wait")
            code, _, error = everlit(server, "rollback", "digits")
            assert code == 1 and "no older version" in error, error
            assert "answers with version 3, before with version 1" in well(server, "unpin", "digits", "--wait")
            traffic.wait_more(50)
            well(server, "pin", "digits", "2", "--wait", "--reason", "until the report is read")
            code, _, error = everlit(server, "pin", "digits", "7")
            assert code == 1 and "digits has no version 7" in error, error
            traffic.wait_more(50)
        traffic.assert_clean()
        assert {1, 2, 3} <= set(traffic.answers), traffic.answers

        server.stop(signal.SIGKILL)
        server.log_path.unlink()
        server.start()
        server.wait_serving("digits", 2)
        assert server.model("digits")["pin"]["version"] == 2
        assert not [e for e in server.events() if e["event"] == "loading" and e["version"] == 3]
        assert "digits is pinned to version 2" in well(server, "status")

        assert "quarantined" in well(server, "quarantine", "digits", "3", "--wait", "--reason", "blind")
        well(server, "unpin", "digits", "--wait")
        assert server.model("digits")["serving"] == 2, "3 stays out"
        assert "forgiven" in well(server, "forgive", "digits", "3")
        server.wait_serving("digits", 3)

        server.wait("the history to tell all", lambda: "forgiven" in well(server, "history", "digits"))
        lines = [line.split() for line in well(server, "history", "digits", "--limit", "1000").splitlines()]
        done = [line[3] for line in lines if line[2] == ME]
        assert done == ["rollback", "rollback", "unpinned", "pinned", "quarantine_asked", "unpinned", "forgiven"], done
        assert [line for line in lines if line[3] == "rollback" and "dark images" in " ".join(line)]
        events = json.loads(well(server, "history", "digits", "--event", "pinned", "--json"))["events"]
        assert [(e["by"], e["version"], e["event"]) for e in events] == [(ME, 2, "pinned")], events


def test_loading_beside_the_policy_is_for_one_run(images):
    with digits_server() as server:
        server.put("digits", 2, GOOD[1])
        server.wait_serving("digits", 2)
        assert "is loaded and answers" in well(server, "load", "digits", "1", "--wait")
        status, body = server.rest("POST", "/v1/models/digits/versions/1:predict", {"instances": [images[0].tolist()]})
        assert status == 200, body
        assert "is unloaded" in well(server, "unload", "digits", "2", "--wait")
        assert server.model("digits")["serving"] == 1
        code, _, error = everlit(server, "unload", "digits", "1")
        assert code == 1 and "is the only one of digits that can answer" in error, error
        code, _, error = everlit(server, "history", "digits")
        assert code == 1 and "--state_dir" in error, error
        assert everlit(server, "retry", "digits", "1")[0] == 0
        assert everlit(server, "retry", "digits")[0] == 2
        assert everlit(server, "pin", "labels", "1")[0] == 1


def openapi():
    return json.loads((ROOT / "docs/admin-api.json").read_text())


@pytest.fixture
def port_server():
    server = digits_server()
    server.token_path = server.folder / "token"
    server.token_path.write_text("0123456789abcdef0123456789abcdef\n")
    server.token_path.chmod(0o600)
    server.admin_port = free_port()
    server.flags += [f"--admin_port={server.admin_port}", f"--admin_token_file={server.token_path}"]
    with server:
        yield server


def test_the_port_asks_for_the_token(port_server):
    connection = http.client.HTTPConnection("127.0.0.1", port_server.admin_port, timeout=LIMIT_S)
    token = {"Authorization": f"Bearer {port_server.token_path.read_text().strip()}"}
    for headers in ({}, {"Authorization": "Bearer 0123456789abcdef0123456789abcdeX"}, {"Authorization": "Basic Og=="},
                    {"Authorization": token["Authorization"] + "0"}):
        for path in ("/admin/v1/models/digits:pin", "/admin/v1/models/digits:predict", "/metrics"):
            status, body = post(connection, path, {"version": 1}, headers)
            assert status == 401 and "token" in body["error"], (path, headers)
    assert port_server.model("digits")["pin"] is None
    status, body = post(connection, "/admin/v1/models/digits:pin", {"version": 1, "reason": "from afar"}, token)
    assert (status, body["to"]) == (200, 1)
    assert port_server.model("digits")["pin"]["by"] == "127.0.0.1 with the token"


def test_a_token_that_others_may_read_ends_the_start():
    server = digits_server()
    path = server.folder / "token"
    path.write_text("0123456789abcdef")
    path.chmod(0o640)
    server.flags += [f"--admin_port={free_port()}", f"--admin_token_file={path}"]
    server.start(wait=False)
    assert server.process.wait(LIMIT_S) == 255
    assert f"chmod 600 {path}" in server.log_text()


def test_openapi_names_each_route_and_no_other():
    """The server lists its routes in the answer to a path that is none."""
    with digits_server() as server:
        connection = UnixConnection(server.socket)
        connection.request("GET", "/admin/v1/")
        answer = connection.getresponse()
        text = json.loads(answer.read())["error"]
        assert answer.status == 404
        routes = {tuple(route.split()) for route in text.split("the admin API has ")[1].split(", ")}
        document = openapi()
        assert document["openapi"].startswith("3.")
        described = {(method.upper(), path.replace("{model}", "NAME"))
                     for path, methods in document["paths"].items() for method in methods if method in ("get", "post")}
        assert described == routes
        reference = (ROOT / "docs/admin-api.md").read_text()
        assert not [path for _, path in routes if path not in reference], "docs/admin-api.md lacks a route"
        for field, value in (("version", -1), ("version", "1"), ("reason", "two\nlines"), ("wait_s", -1), ("vresion", 1)):
            status, body = post(connection, "/admin/v1/models/digits:pin", {field: value})
            assert status == 400 and field in body["error"], body
        connection.request("POST", "/admin/v1/models/digits:pin", body="{")
        answer = connection.getresponse()
        assert answer.status == 400 and "JSON object" in json.loads(answer.read())["error"]
        status, body = post(connection, "/admin/v1/models/nobody:unpin")
        assert status == 404 and "everlit status" in body["error"]
        connection.close()


