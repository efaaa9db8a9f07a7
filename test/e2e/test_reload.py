# SPDX-License-Identifier: Apache-2.0
"""Other configs while the server runs: by HandleReloadConfigRequest, by a file that is looked at, under traffic."""
import json
import signal
import subprocess
import threading

import pytest

from everlit import (BUILD, LIMIT_S, MODELS, Server, Traffic, digits, get_model_metadata_pb2, grpc,
                     model_service_pb2_grpc, np, predict_request, prediction_service_pb2_grpc, predictions, wait_for)
from everlit_protos import model_management_pb2

ONE = """
model_config_list {
  config { name: "digits" base_path: "$MODELS/digits" model_platform: "tensorflow"
           model_version_policy { all {} } update { engine: "openvino" } }
}
"""


def serve(*versions, flags=()):
    server = Server(*flags, config=ONE)
    for version in versions:
        server.put("digits", version, MODELS / "digits" / str(version))
    return server


def config(server, *models):
    """A ReloadConfigRequest of (name, {labels}, [versions])."""
    request = model_management_pb2.ReloadConfigRequest()
    request.config.model_config_list.SetInParent()
    for name, labels, versions in models:
        model = request.config.model_config_list.config.add()
        model.name, model.base_path, model.model_platform = name, str(server.base(name)), "tensorflow"
        if versions:
            model.model_version_policy.specific.versions.extend(versions)
        for label, version in labels.items():
            model.version_labels[label] = version
    return request


def reload(server, request):
    with server.channel() as channel:
        return model_service_pb2_grpc.ModelServiceStub(channel).HandleReloadConfigRequest(request, timeout=LIMIT_S)


def refused(server, request):
    with pytest.raises(grpc.RpcError) as caught:
        reload(server, request)
    return caught.value.code(), caught.value.details()


def rest(server, path):
    return server.rest("POST", path, {"instances": [[0.0] * 784]})[0]


def test_a_model_comes_and_the_answer_waits_for_it():
    with serve(1) as server:
        server.put("second", 1, MODELS / "digits" / "1")
        answer = reload(server, config(server, ("digits", {}, []), ("second", {}, [])))
        assert answer.status.error_code == 0
        assert rest(server, "/v1/models/second:predict") == 200  # at once
        reload(server, config(server, ("second", {}, [])))
        wait_for("digits to go", lambda: rest(server, "/v1/models/digits:predict") == 404)


def test_a_refused_config_changes_nothing():
    with serve(1) as server:
        code, text = refused(server, config(server, ("digits", {}, []), ("digits", {}, [])))
        assert (code, text) == (grpc.StatusCode.INVALID_ARGUMENT,
                                "Illegal to list model digits multiple times in config list")
        code, text = refused(server, model_management_pb2.ReloadConfigRequest())
        assert code == grpc.StatusCode.INVALID_ARGUMENT and "Only ModelConfigList" in text
        assert rest(server, "/v1/models/digits:predict") == 200
        assert [model["name"] for model in server.status()["models"]] == ["digits"]


def test_a_model_that_cannot_be_there_is_told_each_time_and_the_others_serve():
    with serve(1) as server:
        server.put("second", 1, MODELS / "digits" / "1")
        (server.base("torn") / "1").mkdir()
        (server.base("torn") / "1" / "saved_model.pb").write_bytes(b"no model")
        request = config(server, ("digits", {}, []), ("second", {}, []), ("torn", {}, []))
        for _ in range(2):  # it is not remembered as if it had come
            code, text = refused(server, request)
            assert code == grpc.StatusCode.UNKNOWN
            assert text.startswith("1 model(s) did not become available: {{{name: torn version: 1} due to error: ")
        assert rest(server, "/v1/models/second:predict") == 200
        assert rest(server, "/v1/models/digits:predict") == 200


def test_a_missing_base_path_does_not_hold_up_the_next_reload():
    with serve(1) as server:
        request = config(server, ("digits", {}, []))
        missing = request.config.model_config_list.config.add()
        missing.name, missing.base_path, missing.model_platform = "missing", "/no/such/folder", "tensorflow"
        code, text = refused(server, request)
        assert code == grpc.StatusCode.UNKNOWN and "missing" in text
        assert reload(server, config(server, ("digits", {}, []))).status.error_code == 0


def test_labels_come_with_their_version_and_move_between_those_that_answer():
    with serve(1, 2) as server:
        server.wait_state("digits", 1, "serving")
        assert rest(server, "/v1/models/digits/labels/stable:predict") == 400
        reload(server, config(server, ("digits", {"stable": 1, "canary": 2}, [1, 2])))
        assert rest(server, "/v1/models/digits/labels/stable:predict") == 200
        reload(server, config(server, ("digits", {"stable": 2}, [1, 2])))
        assert rest(server, "/v1/models/digits/labels/stable:predict") == 200
        assert rest(server, "/v1/models/digits/labels/canary:predict") == 400
        code, text = refused(server, config(server, ("digits", {"stable": 9}, [1, 2])))
        assert (code, text) == (grpc.StatusCode.FAILED_PRECONDITION,
                                "Request to assign label to version 9 of model digits, which is not currently available "
                                "for inference")
        server.put("second", 1, MODELS / "digits" / "1")
        reload(server, config(server, ("digits", {"stable": 2}, [1, 2]), ("second", {"only": 1}, [])))
        assert rest(server, "/v1/models/second/labels/only:predict") == 200


def test_strict_labels_need_a_version_that_answers():
    with serve(1, flags=["--strict_labels"]) as server:
        server.put("second", 1, MODELS / "digits" / "1")
        labelled = config(server, ("digits", {}, []), ("second", {"only": 1}, []))
        code, text = refused(server, labelled)
        assert (code, text) == (grpc.StatusCode.FAILED_PRECONDITION,
                                "Request to assign label to version 1 of model second, which is not currently available "
                                "for inference")
        reload(server, config(server, ("digits", {}, []), ("second", {}, [])))
        reload(server, labelled)
        assert rest(server, "/v1/models/second/labels/only:predict") == 200


def test_strict_labels_of_the_first_config_end_the_server(tmp_path):
    labelled = tmp_path / "models.config"
    given = 'all {} } version_labels { key: "stable" value: 1'
    labelled.write_text(ONE.replace("$MODELS", str(MODELS)).replace("all {}", given))
    ended = subprocess.run([BUILD / "src/cmd/everlitd", "--strict_labels", "--port=0", "--admin_socket=none",
                            f"--grpc_socket_path={tmp_path}/grpc", f"--model_config_file={labelled}"],
                           capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert ended.returncode == 255
    assert "Request to assign label to version 1 of model digits" in ended.stderr


def test_a_label_moves_under_traffic_to_the_version_that_the_same_config_brings():
    """The config that moves the label also unloads the version that the label led to: nobody who asks by label may notice."""
    with serve(1, 2) as server:
        server.put("digits", 3, MODELS / "digits" / "1")
        reload(server, config(server, ("digits", {"live": 1}, [1])))
        failures, seen, done = [], [], threading.Event()

        def ask():
            with server.channel() as channel:
                stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
                request = predict_request("digits", {"input": np.zeros((1, 784), np.float32)})
                request.model_spec.version_label = "live"
                while not done.is_set():
                    try:
                        seen.append(stub.Predict(request, timeout=LIMIT_S).model_spec.version.value)
                    except grpc.RpcError as error:
                        failures.append((error.code(), error.details()))
        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            for version in (2, 3, 1):
                reload(server, config(server, ("digits", {"live": version}, [version])))
                wait_for(f"the label to lead to version {version}", lambda v=version: seen and seen[-1] == v)
                wait_for(lambda v=version: f"version {v} to serve alone: {server.try_status()}",
                         lambda v=version: [n["version"] for n in server.model("digits")["versions"] if n["state"] == "serving"] == [v])
        finally:
            done.set()
            for thread in threads:
                thread.join()
        assert not failures, failures[:3]
        code, text = refused(server, config(server, ("digits", {"live": 9}, [1])))
        assert code == grpc.StatusCode.FAILED_PRECONDITION and "not currently available for inference" in text


def test_reloads_at_the_same_time_are_answered_one_after_another_under_traffic():
    with serve(1) as server:
        for name in "abc":
            server.put(name, 1, MODELS / "digits" / "1")
        images, _ = digits()
        inputs = images[:20]
        requests = [config(server, ("digits", {}, []), *((n, {}, []) for n in "abc"[:count])) for count in (0, 1, 2, 3)]
        answers = []
        with Traffic(server, inputs, {1: predictions(server, inputs)}, grpc_threads=2, rest_threads=2) as traffic:
            traffic.wait_more(20)
            threads = [threading.Thread(target=lambda r=r: answers.append(reload(server, r).status.error_code))
                       for r in requests]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            traffic.wait_more(20)
        traffic.assert_clean()
        assert answers == [0] * 4


def test_a_client_that_goes_away_leaves_a_server_that_goes_on():
    with serve(1) as server:
        server.put("second", 1, MODELS / "digits" / "1")
        with server.channel() as channel:
            stub = model_service_pb2_grpc.ModelServiceStub(channel)
            stub.HandleReloadConfigRequest.future(config(server, ("digits", {}, []), ("second", {}, []))).cancel()
        assert reload(server, config(server, ("digits", {}, []), ("second", {}, []))).status.error_code == 0
        assert rest(server, "/v1/models/second:predict") == 200


def test_the_config_file_is_looked_at():
    with serve(1, flags=("--model_config_file_poll_wait_seconds=1",)) as server:
        server.put("second", 1, MODELS / "digits" / "1")
        path = server.folder / "models.config"
        text = path.read_text()
        path.write_text("this is { no config")
        wait_for("the bad file to be refused", lambda: any(e["event"] == "reload_refused" for e in server.log_events()))
        assert rest(server, "/v1/models/digits:predict") == 200
        path.write_text(text.replace('name: "digits"', 'name: "second"').replace("/digits", "/second"))
        wait_for("second to serve", lambda: rest(server, "/v1/models/second:predict") == 200)
        wait_for("digits to go", lambda: rest(server, "/v1/models/digits:predict") == 404)


def test_sighup_reads_the_file():
    with serve(1) as server:
        server.put("second", 1, MODELS / "digits" / "1")
        path = server.folder / "models.config"
        path.write_text(path.read_text().replace('name: "digits"', 'name: "second"').replace("/digits", "/second"))
        server.process.send_signal(signal.SIGHUP)
        wait_for("second to serve", lambda: rest(server, "/v1/models/second:predict") == 200)


def test_a_reload_that_waits_does_not_hold_up_the_end():
    with serve(1) as server:
        server.base("empty")  # nothing is in it: it is waited for
        failures = []

        def ask():
            try:
                reload(server, config(server, ("digits", {}, []), ("empty", {}, [])))
            except grpc.RpcError as error:
                failures.append(error.code())
        thread = threading.Thread(target=ask)
        thread.start()
        wait_for("the config to be in force", lambda: any(m["name"] == "empty" for m in server.status()["models"]))
        assert server.stop() == 0
        thread.join()
        assert failures == [grpc.StatusCode.UNAVAILABLE]


def everlit_config(server, *options):
    done = subprocess.run([BUILD / "src/cmd/everlit", "--socket", server.socket, "config", *options], capture_output=True, check=True)
    return done.stdout.decode()


def test_the_config_in_force_is_read_back_and_remembered_until_the_file_changes():
    with serve(1) as server:
        server.flags.append(f"--state_dir={server.folder / 'state'}")
        server.stop()
        server.log_path.unlink()
        server.start()
        assert json.loads(everlit_config(server, "--json"))["from"] == "file"
        server.put("second", 1, MODELS / "digits" / "1")
        reload(server, config(server, ("second", {"only": 1}, [1])))
        sent = everlit_config(server)
        assert 'name: "second"' in sent and 'key: "only" value: 1' in sent and "digits\"\n    base" not in sent
        (server.folder / "back.config").write_text(sent)  # what is read back is a config file
        refused(server, config(server, ("digits", {}, []), ("digits", {}, [])))
        assert everlit_config(server) == sent  # what was refused is not in force

        for text in (None, server.config.replace("$MODELS", str(server.models)) + "# edited"):
            server.stop()
            server.log_path.unlink()
            remembered = text is None
            if not remembered:  # whoever edits the file means the file
                server.config = text
            server.start()
            said = json.loads(everlit_config(server, "--json"))
            assert said["from"] == ("state_dir" if remembered else "file")
            assert (said["config"] == sent) == remembered
            name = "second" if remembered else "digits"
            assert [model["name"] for model in server.status()["models"]] == [name]
            assert rest(server, f"/v1/models/{name}:predict") == 200


def test_a_reload_is_visible_for_all_models_at_once():
    """Two models exchange the versions that their labels name, again and again, while a client asks one and then the other: who
    sees the new label of the first never sees the old one of the second. And a view of all models never shows a mixture."""
    with serve(1, 2) as server:
        for version in (1, 2):
            server.put("other", version, MODELS / "digits" / str(version))
        both = [config(server, ("digits", {"live": n}, [1, 2]), ("other", {"live": 3 - n}, [1, 2])) for n in (1, 2)]
        reload(server, config(server, ("digits", {}, [1, 2]), ("other", {}, [1, 2])))
        for name in ("digits", "other"):
            for version in (1, 2):
                server.wait_state(name, version, "serving")
        reload(server, both[0])
        mixtures, looks, round_now = [], [0], [0]
        done = threading.Event()

        def version_of(stub, name):
            request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
            request.model_spec.name, request.model_spec.version_label = name, "live"
            return stub.GetModelMetadata(request, timeout=LIMIT_S).model_spec.version.value

        def look():
            with server.channel() as channel:
                stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
                while not done.is_set():
                    before = round_now[0]
                    first, second = version_of(stub, "digits"), version_of(stub, "other")
                    looks[0] += 1
                    # no reload was begun in between: both answers are of one config, or the second of a later one
                    if round_now[0] == before and first + second != 3 and first == 1 + before % 2:
                        mixtures.append((before, first, second))
        threads = [threading.Thread(target=look) for _ in range(3)]
        for thread in threads:
            thread.start()
        for number in range(1, 41):
            round_now[0] = number
            reload(server, both[number % 2])
            seen = looks[0]
            wait_for("a look at the new labels", lambda: looks[0] > seen)
        done.set()
        for thread in threads:
            thread.join()
        assert looks[0] > 40 and not mixtures, mixtures[:5]

        def names():
            return sorted(model["name"] for model in server.status()["models"] if model["name"] in ("digits", "third"))
        seen, done = set(), threading.Event()
        server.put("third", 1, MODELS / "digits" / "1")
        watcher = threading.Thread(target=lambda: [seen.add(tuple(names())) for _ in iter(done.is_set, True)])
        watcher.start()
        reload(server, config(server, ("third", {}, []), ("other", {}, [1, 2])))
        done.set()
        watcher.join()
        assert seen and not seen & {()}, seen  # at no instant neither of the two
