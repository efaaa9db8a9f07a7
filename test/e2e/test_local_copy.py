# SPDX-License-Identifier: Apache-2.0
"""keep_local_copy: the server answers with the last good version while the base path has nothing to answer with."""
import os
import shutil
import signal

import pytest

from digits import GOOD
from test_operate import everlit
from test_state import answers, restart, state_server


def copies(server):
    folder = server.state / "copies" / "digits"
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def wait_kept(server, version):
    server.wait(f"a copy of version {version}; there is {copies(server)}",
                lambda: [name.split(".")[0] for name in copies(server)] == [str(version)])


def told(server, event):
    return [e for e in server.events() if e["event"] == event]


def lose_everything(server):
    os.rename(server.base("digits"), server.folder / "lost")


def lose_the_versions(server):
    os.rename(server.base("digits"), server.folder / "lost")
    server.base("digits")


def lose_a_part(server):
    shutil.copytree(server.base("digits"), server.folder / "lost")
    (server.base("digits") / "1" / "variables" / "variables.index").unlink()


@pytest.mark.parametrize("lose", [lose_everything, lose_the_versions, lose_a_part])
def test_it_starts_without_its_base_path_and_goes_on_from_it_when_it_is_back(lose):
    with state_server() as server:
        server.wait_serving("digits", 1)
        wait_kept(server, 1)
        server.stop(signal.SIGKILL)
        lose(server)
        server.log_path.unlink()
        server.start()  # ports open when it answers
        assert answers(server)
        assert server.model("digits")["serving"] == 1
        event = server.wait("to be told", lambda: told(server, "serving_from_copy"))[0]
        assert event["version"] == 1 and str(server.state) in event["text"], event
        if server.base("digits").is_dir():
            shutil.rmtree(server.base("digits"))
        os.rename(server.folder / "lost", server.base("digits"))
        server.wait("the base path to be back", lambda: told(server, "store_back"))
        server.put("digits", 2, GOOD[1])
        server.wait_serving("digits", 2)
        assert answers(server)


def test_a_copy_that_was_changed_is_refused():
    with state_server() as server:
        server.wait_serving("digits", 1)
        wait_kept(server, 1)
        server.stop()
        lose_everything(server)
        for path in (server.state / "copies" / "digits").rglob("variables.data*"):
            data = bytearray(path.read_bytes())
            data[len(data) // 2] ^= 1
            path.chmod(0o600)
            path.write_bytes(data)
        server.log_path.unlink()
        server.start()
        reason = server.wait("to be told", lambda: told(server, "local_copy_refused"))[0]["text"]
        assert "its content has the SHA-256" in reason, reason
        assert server.model("digits")["serving"] == -1
        os.rename(server.folder / "lost", server.base("digits"))
        server.wait_serving("digits", 1)
        wait_kept(server, 1)


def test_quarantined_content_leaves_no_copy():
    with state_server(more="guard_ms: 0") as server:
        server.wait_serving("digits", 1)
        wait_kept(server, 1)
        server.put("digits", 2, GOOD[1])
        server.wait_serving("digits", 2)
        wait_kept(server, 2)  # and none of version 1 any more
        kept = server.state / "copies" / "digits" / copies(server)[0]
        shutil.copytree(kept, server.folder / "kept")
        everlit(server, "quarantine", "digits", "2")
        server.wait_serving("digits", 1)
        wait_kept(server, 1)
        server.stop()
        shutil.rmtree(server.state / "copies" / "digits")
        shutil.copytree(server.folder / "kept", kept)  # somebody brings it back
        lose_everything(server)
        server.log_path.unlink()
        server.start()
        assert server.model("digits")["serving"] == -1
        assert not told(server, "loading"), "quarantined content was loaded"


def test_a_worker_that_dies_after_its_directory_is_started_from_the_copy():
    with state_server() as server:
        server.wait_serving("digits", 1)
        wait_kept(server, 1)
        lose_everything(server)
        server.wait("the base path to be gone", lambda: told(server, "source_failed"))
        os.kill(server.version("digits", 1)["pid"], signal.SIGKILL)
        server.wait("to be told", lambda: told(server, "serving_from_copy"))
        server.wait("another process", lambda: told(server, "respawned"))
        assert answers(server)


def test_what_does_not_fit_is_told_and_hinders_nothing():
    server = state_server()
    server.flags.append("--local_copies_max_bytes=1000")
    with server:
        server.wait_serving("digits", 1)
        reason = server.wait("to be told", lambda: told(server, "local_copy_failed"))[0]["text"]
        assert "all may have 1000 (--local_copies_max_bytes)" in reason and "serving goes on" in reason, reason
        assert answers(server) and not copies(server)


def test_no_copy_is_kept_where_none_is_wanted():
    with state_server() as server:
        server.wait_serving("digits", 1)
        wait_kept(server, 1)
        server.stop()
        server.config = server.config.replace("update {", "update { keep_local_copy: false")
        restart(server)
        server.wait_serving("digits", 1)
        server.wait("the copy to be gone", lambda: not copies(server))
