# SPDX-License-Identifier: Apache-2.0
"""Writes test/data: the held-out digits in handy forms, and what TensorFlow answers for every good model."""

import json
import os
import shutil

import numpy as np

from . import digits, expected, features, formats, host_ops, small, types


def _write(path, data):
    with open(path, "wb" if isinstance(data, bytes) else "w") as file:
        file.write(data)


def _json(path, value):
    _write(path, json.dumps(value) + "\n")


def write(root):
    folder = os.path.join(root, "test", "data")
    bodies = os.path.join(folder, "rest")
    os.makedirs(bodies, exist_ok=True)
    _, _, test_bytes, labels = digits.pictures()
    inputs = digits.as_input(test_bytes)

    _write(os.path.join(folder, "digits_test.u8"), test_bytes.tobytes())
    _write(os.path.join(folder, "digits_test.labels"), "".join(f"{n}\n" for n in labels))
    np.save(os.path.join(folder, "digit.npy"), inputs[0])
    np.save(os.path.join(folder, "digits_3.npy"), inputs[:3])

    rows = [[float(v) for v in row] for row in inputs[:3]]
    _json(os.path.join(bodies, "digits_row.json"), {"instances": rows[:1]})
    _json(os.path.join(bodies, "digits_row_named.json"), {"instances": [{"input": row} for row in rows]})
    _json(os.path.join(bodies, "digits_column.json"), {"inputs": {"input": rows}})
    _json(os.path.join(bodies, "digits_features.json"), {"signature_name": "features", "instances": rows[:1]})
    _json(os.path.join(bodies, "digits_names.json"), {"signature_name": "names", "inputs": rows})
    _json(os.path.join(bodies, "labels_row.json"), {"instances": ["five", "thirty", "no such word"]})
    _json(os.path.join(bodies, "half_plus_two_row.json"), {"instances": [1.0, 2.0, 5.0]})

    types_path = os.path.join(folder, "models", "types", "1")
    shutil.rmtree(types_path, ignore_errors=True)
    types.save(types_path)
    features.write(os.path.join(folder, "models"))
    host_ops.write(os.path.join(folder, "models"))
    formats.write(os.path.join(folder, "models"), os.path.join(root, "models", "digits", "2"))

    digit_cases = [
        (f"{name}, {signature}", signature, {"input": x})
        for signature in ("serving_default", "features", "names")
        for name, x in (("one digit", inputs[:1]), ("five digits", inputs[1:6]), ("no digit", inputs[:0]))]
    words = np.array([w.encode() for w in [*small.WORDS, "", "no such word"]], dtype=object)
    plan = [("digits", v, os.path.join(root, "models", "digits", str(v)), digit_cases) for v in (1, 2)] + [
        ("labels", 1, os.path.join(root, "models", "labels", "1"), [
            ("every word, and two that are not there", "serving_default", {"label": words}),
            ("one word", "serving_default", {"label": words[5:6]}),
            ("no word", "serving_default", {"label": words[:0]})]),
        ("half_plus_two", 1, os.path.join(root, "models", "half_plus_two", "1"), [
            ("three numbers", "serving_default", {"x": np.array([1, 2, 5], np.float32)}),
            ("no number", "serving_default", {"x": np.array([], np.float32)})]),
        ("types", 1, types_path, expected.types_cases()),
    ]
    for model, version, path, cases in plan:
        count = expected.record(model, version, path, os.path.join(folder, "expected"), cases, root)
        print(f"expected answers: {model}/{version}, {count} cases")
