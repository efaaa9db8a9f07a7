#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The scripts in tools/, run for real on small trees of their own: no network, no packages, nothing outside a temporary folder."""
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
import unittest
import zipfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

TABLE = """
| folder | the room | may include |
| --- | --- | --- |
| `src/cmd/` | main functions | everything below |
| `src/swap/` | the heart | tensor, `include/everlit/engine.h`, base |
| `src/tensor/` | tensors | base |
| `src/base/` | status | nothing of ours |
| `include/everlit/` | public | nothing of ours |
"""


def write(path, text=""):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as out:
        out.write(text)


def run(*command, cwd=None, env=None):
    done = subprocess.run(command, cwd=cwd, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False)
    return done.returncode, done.stdout


class Tree(unittest.TestCase):
    def setUp(self):
        self.root = tempfile.mkdtemp(prefix="everlit-tools-")
        self.addCleanup(shutil.rmtree, self.root)

    def path(self, *parts):
        return os.path.join(self.root, *parts)


class Registered(unittest.TestCase):
    """A file of tests that no meson.build names would never run, and look as if it passed."""

    def test_each_file_of_tests_is_run(self):
        folder = os.path.join(ROOT, "test")
        with open(os.path.join(folder, "meson.build"), encoding="utf-8") as text:
            named = text.read()
        for room in ("unit", "e2e"):
            for file in sorted(os.listdir(os.path.join(folder, room))):
                stem, kind = os.path.splitext(file)
                if stem.startswith("test_") and kind in (".c", ".py"):
                    self.assertTrue(f"'{stem[5:]}'" in named or f"{room}/{file}" in named or f"'{file}'" in named, file)


class Includes(Tree):
    """tools/check-includes"""

    def setUp(self):
        super().setUp()
        write(self.path("docs/architecture.md"), TABLE)
        for header in ("src/swap/swap.h", "src/tensor/tensor.h", "src/base/status.h", "include/everlit/engine.h"):
            write(self.path(header))

    def check(self, source, text):
        write(self.path(source), text)
        return run(os.path.join(ROOT, "tools", "check-includes"), self.root)

    def test_downwards_is_allowed(self):
        status, said = self.check("src/swap/swap.c", '#include "swap/swap.h"\n#include "everlit/engine.h"\n#include <stdio.h>\n'
                                  '#include "tensor/tensor.h"\n#include "wire.pb-c.h"\n')
        self.assertEqual((status, "every include goes down the table" in said), (0, True), said)

    def test_upwards_is_named_with_file_line_and_what_is_allowed(self):
        status, said = self.check("src/tensor/tensor.c", '#include "base/status.h"\n#  include "swap/swap.h"\n')
        self.assertEqual(status, 1, said)
        self.assertIn("src/tensor/tensor.c:2: includes swap/swap.h, which is src/swap/swap.h: src/tensor/ may include src/base/", said)

    def test_public_headers_only_where_the_row_says_so(self):
        self.assertEqual(self.check("src/cmd/everlitd.c", "#include <everlit/engine.h>\n")[0], 0)
        self.assertEqual(self.check("src/tensor/tensor.c", "#include <everlit/engine.h>\n")[0], 1)

    def test_relative_unknown_and_unlisted_are_refused(self):
        self.assertIn("write it from src/, as base/status.h", self.check("src/swap/a.c", '#include "../base/status.h"\n')[1])
        self.assertIn("src/swap/a.c:1: includes nowhere.h", self.check("src/swap/a.c", '#include "nowhere.h"\n')[1])
        self.assertIn("src/attic/old.c: its folder has no row", self.check("src/attic/old.c", "")[1])

    def test_a_table_that_points_upwards_is_refused(self):
        write(self.path("docs/architecture.md"), TABLE.replace("| tensors | base |", "| tensors | swap, base |"))
        status, said = self.check("src/base/status.c", "")
        self.assertEqual(status, 2, said)
        self.assertIn("src/tensor/ may include swap, says the row, but src/swap/ is not below it", said)


class Setup(Tree):
    """tools/setup and tools/unpack-wheel, with two tiny wheels already in build/downloads"""

    WHEELS = {
        "tensorflow": {
            "tensorflow/libtensorflow_cc.so.2": "library " * 100, "tensorflow/libtensorflow_framework.so.2": "library",
            "tensorflow/include/tensorflow/c/c_api.h": "", "tensorflow/include/Eigen/huge.h": "", "tensorflow/python/x.so": "",
            "tensorflow/core/framework/tensor_pb2.py": "", "tensorflow/include/LICENSE": "Apache",
        },
        "openvino": {
            "openvino/libs/libopenvino_c.so.2641": "library", "openvino/libs/libopenvino_intel_cpu_plugin.so": "plugin",
            "openvino/include/openvino/c/openvino.h": "", "openvino/include/openvino/core/model.hpp": "",
            "openvino/_pyopenvino.so": "", "openvino-1.dist-info/licenses/LICENSE": "Apache",
        },
    }

    def setUp(self):
        super().setUp()
        shutil.copytree(os.path.join(ROOT, "tools"), self.path("tools"))
        for engine, files in self.WHEELS.items():
            self.make_wheel(engine, files)
        self.lock()

    def wheel(self, engine):
        return self.path("build/downloads", f"{engine}-1-py3-none-any.whl")

    def make_wheel(self, engine, files):
        os.makedirs(self.path("build/downloads"), exist_ok=True)
        with zipfile.ZipFile(self.wheel(engine), "w") as archive:
            for name, text in files.items():
                archive.writestr(name, text)

    def lock(self):
        lines = []
        for engine in self.WHEELS:
            with open(self.wheel(engine), "rb") as wheel:
                data = wheel.read()
            lines.append(f"{engine} {platform.machine()} {engine} 1 any {len(data)} {hashlib.sha256(data).hexdigest()} "
                         f"{os.path.basename(self.wheel(engine))}\n")
        write(self.path("engines.lock"), "# engines\n" + "".join(lines))

    def set_up(self):
        # An index that does not exist: whoever asks the network fails.
        return run(self.path("tools/setup"), "--no-packages", env={
            "PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "EVERLIT_SETUP_LOCKED": ""})

    def engine_files(self, engine):
        top = self.path("build/engines", engine)
        return sorted(os.path.relpath(os.path.join(folder, name), top) for folder, _, names in os.walk(top) for name in names)

    def test_libraries_headers_and_licences_are_unpacked_and_nothing_else(self):
        status, said = self.set_up()
        self.assertEqual(status, 0, said)
        self.assertEqual(self.engine_files("tensorflow"), [
            ".stamp", "include/tensorflow/c/c_api.h", "lib/libtensorflow_cc.so", "lib/libtensorflow_cc.so.2",
            "lib/libtensorflow_framework.so", "lib/libtensorflow_framework.so.2", "licenses/LICENSE"])
        self.assertEqual(self.engine_files("openvino"), [
            ".stamp", "include/openvino/c/openvino.h", "lib/libopenvino_c.so", "lib/libopenvino_c.so.2641",
            "lib/libopenvino_intel_cpu_plugin.so", "licenses/LICENSE"])
        self.assertEqual(self.set_up(), (0, ""), "the second time there is nothing to do and nothing to say")

    def test_a_library_that_was_cut_short_or_removed_is_mended(self):
        self.set_up()
        library = self.path("build/engines/tensorflow/lib/libtensorflow_cc.so.2")
        for damage in (lambda: os.truncate(library, 10), lambda: os.remove(library)):
            damage()
            status, said = self.set_up()
            self.assertEqual((status, os.path.getsize(library)), (0, 800), said)

    def test_a_wrong_digest_stops_the_set_up_and_says_what_to_type(self):
        with open(self.wheel("openvino"), "rb") as wheel:
            right = hashlib.sha256(wheel.read()).hexdigest()
        with open(self.wheel("openvino"), "ab") as wheel:
            wheel.write(b"!")
        status, said = self.set_up()
        self.assertEqual(status, 1, said)
        for part in (right, "build/downloads/openvino-1-py3-none-any.whl", "SHA-256 found:", "rm '"):
            self.assertIn(part, said)
        self.assertFalse(os.path.exists(self.path("build/engines/openvino")))

    def test_a_file_that_cannot_be_fetched_is_named(self):
        os.remove(self.wheel("openvino"))
        status, said = self.set_up()
        self.assertEqual(status, 1, said)
        self.assertIn("pip could not fetch openvino-1-py3-none-any.whl", said)
        self.assertEqual(os.listdir(self.path("build/downloads")), ["tensorflow-1-py3-none-any.whl"])

    def test_a_wheel_of_another_layout_leaves_the_old_engine_in_place(self):
        self.set_up()
        self.make_wheel("tensorflow", {"tensorflow/readme": ""})
        self.lock()
        status, said = self.set_up()
        self.assertEqual(status, 1, said)
        self.assertIn("lib/libtensorflow_cc.so.2", said)
        self.assertIn("lib/libtensorflow_cc.so.2", self.engine_files("tensorflow"))
        self.assertEqual([name for name in os.listdir(self.path("build/engines")) if "." in name], [])


class Tests(Tree):
    """tools/run-tests, on a Meson project that needs no compiler"""

    COMMANDS = {"OK": "exit 0", "FAIL": "exit 3", "SKIP": "exit 77", "TIMEOUT": "sleep 60"}

    def result(self, *results):
        write(self.path("meson.build"), "project('t')\n" + "".join(
            f"test('t{i}', find_program('sh'), args: ['-c', '{self.COMMANDS[result]}'], timeout: 1)\n"
            for i, result in enumerate(results)))
        build = self.path("build")
        shutil.rmtree(build, ignore_errors=True)
        status, said = run("meson", "setup", build, self.root)
        self.assertEqual(status, 0, said)
        return run(os.path.join(ROOT, "tools", "run-tests"), build)

    def test_the_last_line_counts_and_the_status_tells(self):
        status, said = self.result("OK", "OK", "SKIP")
        self.assertEqual((status, said.splitlines()[-1]), (0, "2 passed, 0 failed"), said)
        self.assertIn("skipped: t2", said)
        status, said = self.result("OK", "FAIL", "TIMEOUT")
        self.assertEqual((status, said.splitlines()[-1]), (1, "1 passed, 2 failed"), said)
        self.assertIn("failed: t2 (timeout)", said)

    def test_no_test_at_all_is_no_success(self):
        self.assertEqual(self.result()[0], 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
