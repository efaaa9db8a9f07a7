# SPDX-License-Identifier: Apache-2.0
"""Runs the good models with TensorFlow and writes what went in and came out; the format is in test/data/README.md."""

import base64
import json
import os

import numpy as np

from . import types
from .tf import tf, tf1


def _encode(array, dtype):
    shape = list(array.shape)
    if dtype == tf.string:
        flat = [base64.b64encode(bytes(v)).decode() for v in array.reshape(-1)]
        return {"dtype": "DT_STRING", "shape": shape, "strings": flat}
    raw = np.ascontiguousarray(array).tobytes()
    return {"dtype": "DT_" + _NAMES[dtype.as_datatype_enum], "shape": shape, "data": base64.b64encode(raw).decode()}


_NAMES = {t.as_datatype_enum: {"float32": "FLOAT", "float64": "DOUBLE", "float16": "HALF"}.get(t.name, t.name.upper())
          for t in types.ALL}


def _declared(info):
    shape = None if info.tensor_shape.unknown_rank else [d.size for d in info.tensor_shape.dim]
    return {"dtype": "DT_" + _NAMES[info.dtype], "shape": shape, "tensor": info.name}


def record(model, version, path, folder, cases, root):
    """cases: [(name, signature, {input key: array})]."""
    with tf.Graph().as_default(), tf1.Session() as session:
        meta = tf1.saved_model.load(session, ["serve"], path)
        signatures = {name: s for name, s in sorted(meta.signature_def.items()) if s.inputs or s.outputs}
        signatures.pop("__saved_model_init_op", None)
        answer = {
            "model": model, "version": version, "path": os.path.relpath(path, root), "tensorflow": tf.__version__,
            "signatures": {
                name: {"inputs": {k: _declared(v) for k, v in sorted(s.inputs.items())},
                       "outputs": {k: _declared(v) for k, v in sorted(s.outputs.items())}}
                for name, s in signatures.items()},
            "cases": [],
        }
        for name, signature, inputs in cases:
            s = signatures[signature]
            keys = sorted(s.outputs)
            out = session.run([s.outputs[k].name for k in keys],
                              {s.inputs[k].name: v for k, v in inputs.items()})
            answer["cases"].append({
                "name": name, "signature": signature,
                "inputs": {k: _encode(v, tf.dtypes.as_dtype(s.inputs[k].dtype)) for k, v in sorted(inputs.items())},
                "outputs": {k: _encode(np.asarray(v), tf.dtypes.as_dtype(s.outputs[k].dtype))
                            for k, v in zip(keys, out)},
            })
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, f"{model}-{version}.json"), "w", encoding="utf-8") as file:
        json.dump(answer, file, indent=1, ensure_ascii=True)
        file.write("\n")
    return len(answer["cases"])


def _sample(t):
    """Values at the edges of a dtype."""
    if t == tf.bool:
        return np.array([True, False, True])
    if t == tf.string:
        return np.array([b"plain", b"", b"\x00\xff\xfe", "größe".encode(), b"x" * 40], dtype=object)
    if t in types.QUANTIZED:
        plain = np.iinfo(t.name[1:])
        return np.array([plain.min, 0, 1, plain.max], dtype=plain.dtype).view(t.as_numpy_dtype)
    if t.is_integer:
        return np.array([t.min, 0, 1, 7, t.max], dtype=t.as_numpy_dtype)
    if t.is_complex:
        return np.array([0, 1 + 2j, -0.5 - 1j, complex(np.inf, -np.inf)], dtype=t.as_numpy_dtype)
    return np.array([0.0, -0.0, 1.5, -2.25, np.inf, -np.inf, np.nan], dtype=np.float64).astype(t.as_numpy_dtype)


def types_cases():
    cases = []
    empty = lambda t: np.zeros([0], dtype=object if t == tf.string else t.as_numpy_dtype)  # noqa: E731
    for t in types.ALL:
        cases.append((f"{t.name} comes back as it went", "same_" + t.name, {"x": _sample(t)}))
        cases.append((f"{t.name}, no rows", "same_" + t.name, {"x": empty(t)}))
    for t in types.NUMBERS:
        cases.append((f"{t.name} doubled", "double_" + t.name, {"x": _sample(t)}))
    cases += [
        ("not", "not_bool", {"x": _sample(tf.bool)}),
        ("strings get longer, so they leave the small ones' place", "angle_string", {"x": _sample(tf.string)}),
        ("the default signature", "serving_default", {"x": np.array([1, 2.5, -3], np.float32)}),
        ("everything at once", "everything",
         {"in_" + t.name: _sample(t) for t in types.NUMBERS + [tf.bool, tf.string]}),
        ("no dimensions", "scalar", {"x": np.array(41, np.float32)}),
        ("any rank: 0", "any_rank", {"x": np.array(4, np.float32)}),
        ("any rank: 1", "any_rank", {"x": np.array([1, 2], np.float32)}),
        ("any rank: 3", "any_rank", {"x": np.arange(24, dtype=np.float32).reshape(2, 3, 4)}),
        ("a fixed shape, turned", "fixed_2x3", {"x": np.arange(6, dtype=np.float32).reshape(2, 3)}),
        ("a grid of strings, turned", "grid_string", {"x": np.array([[b"a", b"bb", b""], [b"d", b"e", b"f"]], object)}),
        ("two in, two out, two dtypes", "two_out",
         {"a": np.array([0.5, 1.5], np.float32), "b": np.array([10, -20], np.int64)}),
    ]
    return cases
