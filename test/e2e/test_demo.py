# SPDX-License-Identifier: Apache-2.0
"""everlit-demo, as a stranger runs it: its figures, its exit status, and what it leaves behind."""
import contextlib
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import subprocess
import time

import pytest

from everlit import BUILD, LIMIT_S, MODELS, ROOT, wait_for

DEMO = BUILD / "src" / "demo" / "everlit-demo"
WHOLE_SHOW_S = 8 * LIMIT_S


@pytest.fixture
def scratch(tmp_path):
    """TMPDIR of the demo: what it leaves there is seen. Short, because a Unix socket is made in it."""
    folder = pathlib.Path("/tmp") / f"everlit-demo-test-{os.getpid()}"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def environment(scratch, **more):
    return {**os.environ, "TMPDIR": str(scratch), "LC_ALL": "C.UTF-8", "TERM": "xterm-256color", **more}


def children(pid):
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def daemon_of(demo):
    """The process id of the everlitd that this demo has started."""
    def is_daemon(pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            return os.path.basename(os.readlink(f"/proc/{pid}/exe")) == "everlitd"
        return False

    def look():
        return next(filter(is_daemon, children(demo.pid)), None)
    return wait_for("the demo's everlitd", look)


def is_gone(pid):
    return not os.path.exists(f"/proc/{pid}")


def start(scratch, *options):
    return subprocess.Popen([DEMO, "--quick", *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            env=environment(scratch))


def read_until(demo, wanted):
    """Reads lines until one matches; returns all of them."""
    lines = []
    for line in demo.stdout:
        lines.append(line)
        if re.search(wanted, line):
            return lines
    raise AssertionError(f"the demo ended before it said {wanted!r}:\n{''.join(lines)}")


def figure(text, name):
    found = re.search(rf"^  {name}\s+([\d,]+)", text, re.M)
    assert found, f"no figure '{name}' in:\n{text}"
    return int(found.group(1).replace(",", ""))


def expectations():
    rows = [line.split("\t") for line in (MODELS / "broken" / "list.tsv").read_text().splitlines() if line[0] != "#"]
    return {row[0]: (row[2], row[3]) for row in rows}


def test_the_whole_show(scratch):
    done = subprocess.run([DEMO, "--quick"], capture_output=True, text=True, env=environment(scratch), timeout=WHOLE_SHOW_S)
    text = done.stdout
    assert done.returncode == 0, text + done.stderr
    assert "\x1b" not in text, "no terminal: plain lines"
    assert figure(text, "requests") > 10_000, text
    assert figure(text, "failed") == figure(text, "wrong") == figure(text, "broken") == 0, text
    expected = expectations()
    refused = [name for name, (expect, _) in expected.items() if expect == "refused"]
    offered, switched, said_refused, ignored = map(int, re.search(
        r"versions\s+(\d+) offered, (\d+) switched to, (\d+) refused, (\d+) ignored", text).groups())
    assert (said_refused, ignored) == (len(refused), 1), text
    assert switched >= 5 and offered == switched + said_refused + ignored, text
    for name in refused:
        reason = re.search(rf"^ +\d+ {name} +(\S.*)$", text, re.M)
        assert reason and re.search(expected[name][1], reason.group(1), re.I), f"{name}: {reason}\n{text}"
    assert re.search(r"during swaps( +[\d.]+){3}", text), "the slowest request during swaps"
    assert len(re.findall(r"SIGKILL +process \d+ took the place of \d+", text)) == 2, text
    assert "everlitd ended with status 0" in text
    assert not list(scratch.iterdir()), "the temporary folder is gone"


def test_a_server_that_dies_is_a_failure_that_says_so(scratch):
    demo = start(scratch)
    lines = read_until(demo, r"version 2 serves")
    os.kill(daemon_of(demo), signal.SIGKILL)
    text = "".join(lines) + demo.stdout.read()
    assert demo.wait(LIMIT_S) == 1, text
    assert re.search(r"Ended early: everlitd was ended by signal 9", text), text
    assert re.search(r"last lines of everlitd's log:\n(.*\n)*.*model=digits version=2", text), text
    assert not list(scratch.iterdir())


def test_interrupted_it_takes_everything_with_it(scratch):
    demo = start(scratch)
    lines = read_until(demo, r"ask \d+ times a second")
    server = daemon_of(demo)
    demo.send_signal(signal.SIGINT)
    text = "".join(lines) + demo.stdout.read()
    assert demo.wait(LIMIT_S) == 128 + signal.SIGINT, text
    assert is_gone(server), "no process is left"
    assert not list(scratch.iterdir())


def read_terminal(fd, until, limit_s=LIMIT_S):
    """What is written to a terminal until it holds `until`; all of it with until=None."""
    end, seen = time.monotonic() + limit_s, b""
    while until is None or until not in seen:
        assert time.monotonic() < end, f"waited for {until!r}: {seen[-4000:]!r}"
        if not select.select([fd], [], [], 0.5)[0]:
            continue
        try:
            piece = os.read(fd, 65536)
        except OSError:
            piece = b""
        if not piece:
            assert until is None, f"the demo ended before it wrote {until!r}: {seen[-4000:]!r}"
            break
        seen += piece
    return seen


@pytest.mark.parametrize("colour", [True, False])
def test_a_terminal_is_left_as_it_was(scratch, colour):
    own, terminal = pty.openpty()
    more = {} if colour else {"NO_COLOR": "1"}
    demo = subprocess.Popen([DEMO, "--quick"], stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True,
                            env=environment(scratch, **more))
    os.close(terminal)
    page = read_terminal(own, b"gRPC and")  # the clients have begun
    server = daemon_of(demo)
    demo.send_signal(signal.SIGTSTP)  # Ctrl-Z, then fg
    assert read_terminal(own, b"\x1b[?1049l").endswith(b"\x1b[?25h\x1b[?1049l"), "the shell gets its screen back"
    assert os.WIFSTOPPED(os.waitpid(demo.pid, os.WUNTRACED)[1])
    demo.send_signal(signal.SIGCONT)
    page += read_terminal(own, b"gRPC and")  # the page is there again
    demo.send_signal(signal.SIGINT)
    page += read_terminal(own, None)
    assert demo.wait(LIMIT_S) == 128 + signal.SIGINT
    os.close(own)
    assert page.startswith(b"\x1b[?1049h\x1b[?25l"), page[:200]
    drawn, after = page.split(b"\x1b[?1049l")
    assert b"\x1b[?25h" in drawn and b"\n" not in drawn.replace(b"\r\n", b""), "nothing scrolls"
    assert b"Everlit demo" in after and b"interrupted" in after, "the summary stays"
    assert bool(re.search(rb"\x1b\[[1-9][0-9;]*m", page)) == colour
    assert is_gone(server)
    assert not list(scratch.iterdir())


def test_a_server_that_does_not_start_is_shown_with_its_last_lines(scratch, tmp_path):
    (tmp_path / "demo").mkdir()
    (tmp_path / "cmd").mkdir()
    shutil.copy(DEMO, tmp_path / "demo")
    fake = tmp_path / "cmd" / "everlitd"
    fake.write_text("#!/bin/sh\necho 'engine_tensorflow.so: is not there; type: make'\nexit 3\n")
    fake.chmod(0o755)
    done = subprocess.run([tmp_path / "demo" / DEMO.name, "--root", ROOT], capture_output=True, text=True,
                          env=environment(scratch), timeout=LIMIT_S)
    assert done.returncode == 1
    assert "everlitd ended with status 3" in done.stdout, done.stdout
    assert "engine_tensorflow.so: is not there; type: make" in done.stdout, done.stdout
    assert not list(scratch.iterdir())


def test_wrong_use_and_a_missing_tree_are_told(scratch, tmp_path):
    wrong = subprocess.run([DEMO, "now"], capture_output=True, text=True, env=environment(scratch))
    assert wrong.returncode == 2 and '"now"' in wrong.stderr
    missing = subprocess.run([DEMO, "--root", tmp_path], capture_output=True, text=True, env=environment(scratch))
    assert missing.returncode == 1 and "models/broken/list.tsv" in missing.stderr
    assert not list(scratch.iterdir())
