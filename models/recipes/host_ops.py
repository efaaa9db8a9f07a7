# SPDX-License-Identifier: Apache-2.0
"""host_ops: the ops that the plug-in for OpenVINO runs itself, a signature for each, with TensorFlow's answers and errors.

Two signatures have a network between such ops. Bytes are kept as base64.
"""

import base64
import json
import os
import re
import shutil

import numpy as np

from .tf import tf, tf1

F, D, I, L = np.float32, np.float64, np.int32, np.int64


def _words(*words):
    return np.array([w if isinstance(w, bytes) else w.encode() for w in words], object)


def _example(**features):
    def feature(values):
        kind = tf.train.Feature()
        if isinstance(values[0], bytes):
            kind.bytes_list.value.extend(values)
        elif isinstance(values[0], float):
            kind.float_list.value.extend(values)
        else:
            kind.int64_list.value.extend(values)
        return kind

    return tf.train.Example(features=tf.train.Features(
        feature={key: feature(values) for key, values in features.items()})).SerializeToString(deterministic=True)


SIGNATURES, CASES = {}, []


def _add(name, inputs, make, *asked):
    """One signature; inputs: {name: (dtype, shape)}. Each of asked: the inputs of one case."""
    fed = {key: tf1.placeholder(dtype, shape, name=f"{name}_{key}") for key, (dtype, shape) in inputs.items()}
    outputs = {key: tf.identity(value, name=f"{name}_{key}_out") for key, value in make(**fed).items()}
    SIGNATURES[name] = tf1.saved_model.predict_signature_def(fed, outputs)
    CASES.extend((name, values) for values in asked)


def _texts():
    s, text = (tf.string, [None]), _words("Abc", "", " \tä Öz\n", b"\xff\x00q")
    _add("upper", {"x": s}, lambda x: {"y": tf.strings.upper(x)}, {"x": text})
    _add("lower", {"x": s}, lambda x: {"y": tf.strings.lower(x)}, {"x": text})
    _add("strip", {"x": s}, lambda x: {"y": tf.strings.strip(x)}, {"x": text})
    _add("length", {"x": s}, lambda x: {"y": tf.strings.length(x), "u": tf.strings.length(x, unit="UTF8_CHAR")}, {"x": text})
    _add("join", {"x": s, "p": (tf.string, [])}, lambda x, p: {"y": tf.strings.join([p, x, x], "--")},
         {"x": text, "p": np.array(b"<", object)})
    _add("join_two", {"x": s, "z": s}, lambda x, z: {"y": tf.strings.join([x, z])},
         {"x": _words("a", "b"), "z": _words("c")})
    for kind in ("float32", "float64", "int32", "int64"):
        _add("number_" + kind, {"x": s}, lambda x: {"y": tf.strings.to_number(x, tf.as_dtype(kind))},
             {"x": _words("12", " -7 ", "0")}, {"x": _words("")}, {"x": _words("1e")}, {"x": _words("12x")}, {"x": _words("+5")},
             {"x": _words("99999999999999999999")}, {"x": _words("3000000000")})
    _add("number_more", {"x": s}, lambda x: {"y": tf.strings.to_number(x)},
         {"x": _words("1.5e3", ".5", "-inf", "NaN", "1e50", "0x10", "5.")}, {"x": _words("infinity")}, {"x": _words("1" * 32)})
    _add("as_string", {"f": (tf.float32, [None]), "i": (tf.int64, [None]), "b": (tf.bool, [None])},
         lambda f, i, b: {"f": tf.strings.as_string(f), "p": tf.strings.as_string(f, precision=2),
                          "e": tf.strings.as_string(f, scientific=True), "g": tf.strings.as_string(f, shortest=True),
                          "i": tf.strings.as_string(i), "w": tf.strings.as_string(i, width=6, fill="0"),
                          "b": tf.strings.as_string(b)},
         {"f": F([1.5, -0.0, 1e10, np.nan, np.inf]), "i": L([0, -5, 2**62]), "b": np.array([True, False])})
    for kind in (tf.uint8, tf.int16, tf.float64, tf.complex64):
        _add("as_string_" + kind.name, {"x": (kind, [None])}, lambda x: {"y": tf.strings.as_string(x)},
             {"x": np.array([0, 1, 200]).astype(kind.as_numpy_dtype)})


def _arrays():
    grid = np.array([[b"a", b"b", b"c"], [b"d", b"e", b"f"]], object)
    x = (tf.string, [None, None])
    _add("shape", {"x": x}, lambda x: {"y": tf.shape(x), "n": tf.size(x, tf.int64), "r": tf.rank(x)}, {"x": grid}, {"x": grid[:0]})
    _add("reshape", {"x": x, "s": (tf.int32, [None])}, lambda x, s: {"y": tf.reshape(x, s)},
         {"x": grid, "s": I([3, -1])}, {"x": grid, "s": I([6])}, {"x": grid[:0], "s": I([0, 5])})
    _add("expand", {"x": x}, lambda x: {"y": tf.expand_dims(x, -1), "z": tf.expand_dims(x, 0)}, {"x": grid})
    _add("tile", {"x": x, "n": (tf.int32, [None])}, lambda x, n: {"y": tf.tile(x, n)},
         {"x": grid, "n": I([2, 1])}, {"x": grid, "n": I([0, 2])}, {"x": grid, "n": I([2])})
    _add("concat", {"x": x, "z": x}, lambda x, z: {"y": tf.concat([x, z], 0), "w": tf.concat([x, z, x], -1)},
         {"x": grid, "z": grid[:, ::-1]})
    _add("pack", {"x": x, "z": x}, lambda x, z: {"y": tf.stack([x, z]), "w": tf.stack([x, z], -1)}, {"x": grid, "z": grid[:, ::-1]})
    _add("fill", {"x": (tf.string, []), "n": (tf.int64, [None])}, lambda x, n: {"y": tf.fill(n, x)},
         {"x": np.array(b"x", object), "n": L([2, 2])})
    _add("slice", {"x": x},
         lambda x: {"a": x[0], "b": x[:, 1], "c": x[::-1, 1:], "d": x[..., tf.newaxis, 0], "e": x[-1:, -2], "f": x[5:], "g": x[:, ::2]},
         {"x": grid}, {"x": grid[:1]}, {"x": grid[:0]})
    _add("gather", {"x": x, "i": (tf.int32, None)}, lambda x, i: {"y": tf.gather(x, i), "z": tf.gather(x, i, axis=1)},
         {"x": grid, "i": I([[1, 0], [0, 0]])}, {"x": grid, "i": I(1)}, {"x": grid, "i": I([[0, 1], [0, 2]])}, {"x": grid, "i": I([])})


def _numbers():
    d = D([0.0, -1.5, 2.5, 300.7, 1e300])
    _add("double", {"x": (tf.float64, [None])},
         lambda x: {"log": tf.math.log(x), "sqrt": tf.sqrt(x), "tanh": tf.tanh(x), "y": (x * x - 3.0) / x + tf.maximum(x, 1.0)},
         {"x": d}, {"x": D([])})
    _add("double_two", {"x": (tf.float64, [None, None]), "z": (tf.float64, [None])}, lambda x, z: {"y": x / z},
         {"x": D([[1, 2], [3, 4]]), "z": D([3, 0])}, {"x": D([[1, 2], [3, 4]]), "z": D([3, 0, 1])})
    small = D([0.0, -1.5, 2.5, 99.9, 0.33333333, 70000.0])
    for kind in (tf.float32, tf.half, tf.bfloat16, tf.int8, tf.int16, tf.int32, tf.int64, tf.uint8, tf.uint16, tf.bool, tf.complex64,
                 tf.complex128):
        given = small[:4] if kind.is_integer else small
        _add("cast_" + kind.name, {"x": (tf.float64, [None])},
             lambda x: {"y": tf.cast(x, kind), "back": tf.cast(tf.cast(x, kind), tf.float64)},
             {"x": given[given >= 0] if kind in (tf.uint8, tf.uint16) else given})
    _add("complex", {"x": (tf.complex64, [None])}, lambda x: {"y": x, "r": tf.cast(x, tf.complex128)},
         {"x": np.array([1 + 2j, -0.5j], np.complex64)})
    _add("any_rank", {"x": (tf.float32, None)}, lambda x: {"y": x}, {"x": F(1.5)}, {"x": F([[[1, 2]]])}, {"x": F([])})
    _add("any_rank_network", {"x": (tf.float32, None)}, lambda x: {"y": tf.sqrt(x) + 1.0}, {"x": F([4, 9])}, {"x": F([[4, 9]])})


def _examples():
    spec = {"age": tf.io.FixedLenFeature([1], tf.float32), "tags": tf.io.FixedLenFeature([2], tf.string, [b"x", b"y"]),
            "n": tf.io.FixedLenFeature([], tf.int64, 7), "ids": tf.io.VarLenFeature(tf.int64), "words": tf.io.VarLenFeature(tf.string)}

    def make(x):
        parsed = tf.io.parse_example(x, spec)
        return {"age": parsed["age"], "tags": parsed["tags"], "n": parsed["n"], "ids": parsed["ids"].values,
                "at": parsed["ids"].indices, "shape": parsed["ids"].dense_shape, "words": parsed["words"].values,
                "network": tf.reduce_sum(parsed["age"] * 2.0 + 1.0, 1)}

    full = _example(age=[1.5], tags=[b"p", b"q"], n=[3], ids=[1, 2, 3], words=[b"w"])
    merged = _example(age=[1.0]) + _example(age=[2.0], ids=[5])
    _add("example", {"x": (tf.string, [None])}, make,
         {"x": np.array([full, _example(age=[-2.0]), merged], object)}, {"x": np.array([], object)},
         {"x": np.array([b""], object)}, {"x": np.array([full, b"not an example"], object)}, {"x": np.array([_example(age=[1])], object)},
         {"x": np.array([full, _example(age=[1.0, 2.0])], object)}, {"x": np.array([_example(age=[1.0], tags=[b"a"])], object)},
         {"x": np.array([_example(age=[1.0], ids=[0.5])], object)})

    def between(x, w):
        parsed = tf.io.parse_example(x, {"age": spec["age"]})
        y = tf.matmul(tf.concat([parsed["age"], w], 1), [[2.0], [3.0]])
        return {"y": y, "text": tf.strings.join(["y=", tf.strings.as_string(y, precision=1)])}

    _add("between", {"x": (tf.string, [None]), "w": (tf.float32, [None, 1])}, between,
         {"x": np.array([full, _example(age=[4.0])], object), "w": F([[1], [2]])})


def _plain(array):
    array = np.asarray(array)
    if array.dtype == object or array.dtype.kind == "S":
        values = [base64.b64encode(v).decode() for v in array.ravel().tolist()]
        return {"dtype": "string", "shape": list(array.shape), "values": values}
    data = np.ascontiguousarray(array).tobytes()
    return {"dtype": array.dtype.name, "shape": list(array.shape), "data": base64.b64encode(data).decode()}


def _tables(folder):
    """FOLDER/host_tables: an export of TensorFlow 2 whose tables are filled by functions, from constants and from an asset."""
    path = os.path.join(folder, "host_tables", "1")
    shutil.rmtree(os.path.dirname(path), ignore_errors=True)
    with open("colours.txt", "w", encoding="utf-8") as file:
        file.write("red\t10\ngreen\t20\nblue\t30\n")

    class Tables(tf.Module):
        def __init__(self):
            super().__init__()
            text, lookup = tf.string, tf.lookup
            self.sizes = lookup.StaticHashTable(
                lookup.KeyValueTensorInitializer([b"small", b"large"], [1, 2], text, tf.int64), -1)
            self.names = lookup.StaticHashTable(
                lookup.KeyValueTensorInitializer([1, 2], [b"one", b"two"], tf.int64, text), b"?")
            self.colours = lookup.StaticHashTable(lookup.TextFileInitializer("colours.txt", text, 0, tf.int64, 1, delimiter="\t"), 0)
            self.weights = tf.Variable([[1.0], [0.5]])

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="size"), tf.TensorSpec([None], tf.string, name="colour")])
        def ask(self, size, colour):
            number, shade = self.sizes.lookup(size), self.colours.lookup(colour)
            mixed = tf.stack([tf.cast(number, tf.float32), tf.cast(shade, tf.float32)], 1)
            return {"number": number, "shade": shade, "name": self.names.lookup(number), "y": tf.matmul(mixed, self.weights)}

    module = Tables()
    tf.saved_model.save(module, path, signatures=module.ask)
    os.remove("colours.txt")
    os.remove(os.path.join(path, "fingerprint.pb"))
    inputs = {"size": _words("large", "small", "none"), "colour": _words("green", "white", "blue")}
    outputs = tf.saved_model.load(path).signatures["serving_default"](**{k: tf.constant(v) for k, v in inputs.items()})
    _write_answers(folder, "host_tables", [{
        "signature": "serving_default", "inputs": {key: _plain(value) for key, value in inputs.items()},
        "outputs": {key: _plain(outputs[key].numpy()) for key in sorted(outputs)}}])


def _write_answers(folder, name, cases):
    with open(os.path.join(folder, name, "answers.json"), "w", encoding="utf-8") as file:
        file.write('{"tensorflow": "%s", "cases": [\n' % tf.__version__)
        file.write(",\n".join(json.dumps(case) for case in cases) + "\n]}\n")


def write(folder):
    """FOLDER/host_ops/1, and what TensorFlow answers in FOLDER/host_ops/answers.json; FOLDER/host_tables."""
    _tables(folder)
    path = os.path.join(folder, "host_ops", "1")
    shutil.rmtree(os.path.dirname(path), ignore_errors=True)
    cases = []
    with tf.Graph().as_default(), tf1.Session() as session:
        for part in (_texts, _arrays, _numbers, _examples):
            part()
        builder = tf1.saved_model.Builder(path)
        builder.add_meta_graph_and_variables(session, ["serve"], signature_def_map=SIGNATURES, strip_default_attrs=True)
        builder.save()
        for name, inputs in CASES:
            signature = SIGNATURES[name]
            case = {"signature": name, "inputs": {key: _plain(value) for key, value in inputs.items()}}
            try:
                outputs = session.run({key: info.name for key, info in signature.outputs.items()},
                                      {signature.inputs[key].name: value for key, value in inputs.items()})
                case["outputs"] = {key: _plain(outputs[key]) for key in sorted(outputs)}
            except tf.errors.InvalidArgumentError as error:
                case["error"] = re.search(r"Node: '[^']*'\n(.*?\]\])", error.message, re.DOTALL).group(1)
            cases.append(case)
    _write_answers(folder, "host_ops", cases)
