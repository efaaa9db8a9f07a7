# SPDX-License-Identifier: Apache-2.0
import pytest

from digits import CONFIG, GOOD, MINIATURE
from everlit import Server, digits, predictions


@pytest.fixture(scope="session")
def images():
    return digits()[0][:24]


@pytest.fixture(scope="session")
def answers(images):
    """What each good version answers: 1, 2, and as 3 the miniature of models/broken."""
    server = Server(config=(CONFIG % ("tensorflow", "process", "")).replace("update {", "model_version_policy { all {} } update {"))
    server.put("digits", 1, GOOD[1])
    server.put("digits", 2, GOOD[2])
    server.put("digits", 3, MINIATURE)
    with server:
        for version in (1, 2, 3):
            server.wait_state("digits", version, "serving")
        return {version: predictions(server, images, version=version) for version in (1, 2, 3)}
