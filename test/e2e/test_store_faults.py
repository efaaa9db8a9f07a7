# SPDX-License-Identifier: Apache-2.0
"""What happens to the model store and the state directory while a version serves: it goes on answering, and the message says what is wrong."""
import os
import shutil
import signal
import subprocess

import pytest

from digits import GOOD
from test_state import answers, state_server

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="mounts, or gives away a right: for root only")


def logged(server, event):
    return [e for e in server.log_events() if e["event"] == event]


@AS_ROOT
def test_a_full_disk_under_the_state_directory():
    server = state_server()
    server.state.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "none", server.state], check=True)
    try:
        with server:
            server.wait_serving("digits", 1)
            reason = server.wait("to be told", lambda: logged(server, "local_copy_failed"))[0]["reason"]
            assert "no room on the disk" in reason and "serving goes on" in reason, reason
            with open(server.state / "filler", "wb", buffering=0) as filler, pytest.raises(OSError):
                while True:
                    filler.write(b"x" * 4096)
            server.put("digits", 2, GOOD[1])
            server.wait_serving("digits", 2)
            reason = server.wait("to be told", lambda: logged(server, "journal_not_written"))[0]["reason"]
            assert "full" in reason and str(server.state) in reason, reason
            assert answers(server)
            (server.state / "filler").unlink()
            server.wait("it to be written again", lambda: logged(server, "journal_written_again"))
            assert answers(server)
    finally:
        subprocess.run(["umount", server.state], check=False)


@AS_ROOT
def test_a_base_path_that_may_not_be_read():
    server = state_server()
    lost = "-dac_override,-dac_read_search"  # what lets root read everything
    server.prefix = ["setpriv", f"--bounding-set={lost}", f"--inh-caps={lost}", "--"]
    with server:
        server.wait_serving("digits", 1)
        os.chmod(server.base("digits"), 0)
        reason = server.wait("to be told", lambda: logged(server, "source_failed"))[0]["reason"]
        assert str(server.base("digits")) in reason, reason
        assert answers(server)
        server.put("digits", 2, GOOD[1])
        os.chmod(server.base("digits"), 0o755)
        server.wait_serving("digits", 2)
        assert logged(server, "source_recovered")
        assert answers(server)


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_a_base_path_whose_disk_fails():
    """Each open() of the base path from the eighth one on: EIO."""
    server = state_server()
    server.prefix = ["strace", "-qq", "-f", "--seccomp-bpf", "-o", "/dev/null", "-P", str(server.base("digits")), "-e", "trace=openat",
                     "-e", "inject=openat:error=EIO:when=8+"]
    server.start()
    pid = server.status()["server"]["pid"]
    try:
        server.wait_serving("digits", 1)
        number = 2  # something changes: it looks again
        while not logged(server, "source_failed") and number < 40:
            server.put("digits", number, GOOD[1 + number % 2])
            server.wait(f"version {number} or an error",
                        lambda: server.model("digits")["serving"] == number or logged(server, "source_failed"))
            number += 1
        reason = logged(server, "source_failed")[0]["reason"]
        assert str(server.base("digits")) in reason, reason
        assert answers(server) and server.model("digits")["serving"] > 0
    finally:
        os.kill(pid, signal.SIGTERM)
        server.process.wait()
        shutil.rmtree(server.folder, ignore_errors=True)


def test_a_version_that_is_listed_and_not_there():
    with state_server() as server:
        server.wait_serving("digits", 1)
        os.symlink("/nonexistent/everlit", server.base("digits") / "9")
        server.put("digits", 2, GOOD[1])
        server.wait_serving("digits", 2)
        assert answers(server)
