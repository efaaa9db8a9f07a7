# SPDX-License-Identifier: Apache-2.0
"""--state_dir: what the server knows after it was killed, and what it does when it cannot remember."""
import os
import shutil
import signal
import sqlite3
import subprocess

import pytest

from digits import GOOD, digits_server
from everlit import BUILD, MODELS, free_port


def state_server(more=""):
    server = digits_server(more=more)
    server.state = server.folder / "state"
    server.flags.append(f"--state_dir={server.state}")
    return server


def restart(server, number=signal.SIGKILL):
    server.stop(number)
    server.log_path.unlink()
    server.start()


def answers(server):
    status, body = server.rest("POST", "/v1/models/digits:predict", {"instances": [[0.0] * 784]})
    assert status == 200, body
    return True


def journal(server, sql, *values):
    with sqlite3.connect(f"file:{server.state}/journal.db?mode=ro", uri=True) as database:
        return database.execute(sql, values).fetchall()


def bad_folder(server, number):
    """A version with NaN outputs, as play.sh puts it there."""
    subprocess.run([MODELS / "broken" / "play.sh", "nan_outputs", server.base("digits"), str(number), "2"], check=True,
                   capture_output=True)
    return server.base("digits") / str(number)


def test_bad_content_stays_out_after_a_kill_and_under_another_number():
    with state_server() as server:
        server.wait_serving("digits", 1)
        bad_folder(server, 2)
        reason = server.wait_state("digits", 2, "quarantined")["reason"]
        server.wait("the journal to say so", lambda: journal(server, "SELECT version FROM bad") == [(2,)])
        restart(server)
        server.wait_serving("digits", 1)
        again = server.wait_state("digits", 2, "quarantined")["reason"]
        assert "is quarantined since" in again and "as version 2, by everlit" in again and reason in again, again
        assert not [e for e in server.events() if e["event"] == "loading" and e["version"] == 2], "it was loaded again"
        shutil.copytree(server.base("digits") / "2", server.folder / "renamed")
        os.rename(server.folder / "renamed", server.base("digits") / "7")
        assert "as version 2, by everlit" in server.wait_state("digits", 7, "quarantined")["reason"]
        server.remove("digits", 2)
        server.put("digits", 2, GOOD[1])  # repaired files under the number that was bad
        server.wait_serving("digits", 2)
        assert answers(server)


def test_it_begins_with_the_version_that_was_good():
    with state_server(more="guard_ms: 500") as server:
        server.wait_serving("digits", 1)
        server.wait("the journal to say so", lambda: journal(server, "SELECT good_version FROM model") == [(1,)])
        server.stop(signal.SIGKILL)
        server.put("digits", 5, GOOD[1])
        server.log_path.unlink()
        server.start()
        server.wait_serving("digits", 5)
        loads = [e["version"] for e in server.events() if e["event"] == "loading"]
        assert loads == [1, 5], "first the one that was good, then what is newer"
        server.wait("the journal to say so", lambda: journal(server, "SELECT good_version FROM model") == [(5,)])


def test_what_ends_the_server_while_it_is_loaded_is_not_loaded_for_ever():
    with state_server() as server:
        server.wait_serving("digits", 1)
        subprocess.run([MODELS / "broken" / "play.sh", "slow_load", server.base("digits"), "2", "2"], check=True,
                       capture_output=True)
        for _ in range(2):  # it takes 30 s: the server is killed in the midst of it
            server.wait_state("digits", 2, "loading")
            server.wait("the journal to know of the load",
                        lambda: journal(server, "SELECT running FROM load WHERE version = 2") == [(1,)])
            restart(server)
            server.wait_serving("digits", 1)
        reason = server.wait_state("digits", 2, "quarantined")["reason"]
        assert "the server ended 2 times in a row while it loaded these files" in reason, reason
        assert answers(server)


def test_a_state_dir_belongs_to_one_server():
    with state_server() as server:
        server.wait_serving("digits", 1)
        other = subprocess.run(
            [BUILD / "src/cmd/everlitd", f"--port={free_port()}", "--rest_api_port=0", "--admin_socket=none",
             "--model_name=digits", f"--model_base_path={server.base('digits')}", f"--state_dir={server.state}"],
            capture_output=True, text=True, timeout=60)
        assert other.returncode == 255
        assert f"state directory of another server that is running: process {server.process.pid}" in other.stdout
        assert answers(server)


@pytest.mark.parametrize("harm", ["broken file", "a folder in its place"])
def test_a_journal_that_cannot_be_used_hinders_nothing(harm):
    with state_server() as server:
        server.wait_serving("digits", 1)
        server.stop()
        if harm == "broken file":
            (server.state / "journal.db").write_bytes(b"no database" * 1000)
        else:
            shutil.rmtree(server.state)
            (server.state / "journal.db").mkdir(parents=True)
        server.log_path.unlink()
        server.start()
        server.wait_serving("digits", 1)
        assert answers(server)
        events = {event["event"]: event for event in server.log_events()}
        if harm == "broken file":
            assert "begins with an empty one" in events["journal_set_aside"]["reason"]
            assert list(server.state.glob("journal.db.aside-*"))
        else:
            assert str(server.state) in events["journal_not_written"]["reason"]
            (server.state / "journal.db").rmdir()
            server.wait("it to be written again",
                        lambda: any(e["event"] == "journal_written_again" for e in server.log_events()))
