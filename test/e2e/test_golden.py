# SPDX-License-Identifier: Apache-2.0
"""`everlit golden record` takes what clients asked; a version that brings it along serves only if it answers the same."""
import json
import os
import shutil
import subprocess

from everlit import BUILD, ROOT, Server

CONFIG = 'model_config_list { config { name: "digits" base_path: "$MODELS/digits" model_platform: "tensorflow" } }'


def test_recorded_requests_are_golden_for_the_next_version(tmp_path):
    with Server(config=CONFIG) as server:
        server.put("digits", 1, ROOT / "models/digits/1")
        server.wait_serving("digits", 1)
        for i in range(8):
            row = [(i * 31 + j) % 17 / 17 for j in range(784)]
            code, _ = server.rest("POST", "/v1/models/digits:predict", json.dumps({"instances": [row]}))
            assert code == 200
        golden = tmp_path / "everlit_golden.tfrecord"
        told = subprocess.run([BUILD / "src/cmd/everlit", "golden", "record", "digits", "--out", golden],
                              env={**os.environ, "EVERLIT_SOCKET": server.socket}, capture_output=True, text=True, check=True)
        assert told.stdout == f"8 golden records in {golden}\n"
        for version, source in ((2, 1), (3, 2)):
            folder = tmp_path / str(version)
            shutil.copytree(ROOT / "models/digits" / str(source), folder)
            (folder / "assets.extra").mkdir(exist_ok=True)
            shutil.copy(golden, folder / "assets.extra")
            server.put("digits", version, folder)
            server.wait_state("digits", version, "serving" if version == 2 else "quarantined")
        assert "8 of 8 golden records answered as they say" in server.version("digits", 2)["probe"]
        assert "golden records (assets.extra/everlit_golden.tfrecord) are not answered as they say; record 1" in \
            server.version("digits", 3)["reason"]
