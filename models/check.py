#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Says what OpenVINO makes of every case that TensorFlow recorded: agrees within 1e-4, or why not.

    build/venv-models/bin/python models/check.py

Every signature of digits must agree, except `names` (a string table, TensorFlow's alone); exit status 1 if not.
Strings and the types model are reported only: what OpenVINO cannot read there, TensorFlow serves.
"""

import base64
import glob
import json
import os
import sys
import tempfile

import numpy as np
import openvino as ov

from recipes.tf import tf
from tensorflow.core.protobuf import saved_model_pb2

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
NUMPY = {"HALF": "float16", "FLOAT": "float32", "DOUBLE": "float64", "BOOL": "bool"}


def decode(tensor):
    name = tensor["dtype"][3:]
    if name == "STRING":
        flat = np.array([base64.b64decode(s) for s in tensor["strings"]] + [None], dtype=object)[:-1]
        return flat.reshape(tensor["shape"])
    dtype = tf.dtypes.as_dtype(NUMPY.get(name, name.lower())).as_numpy_dtype
    return np.frombuffer(base64.b64decode(tensor["data"]), dtype=dtype).reshape(tensor["shape"])


def renamed_copy(path, signature, folder):
    """A folder in which `signature` is called serving_default, because OpenVINO looks at no other."""
    saved = saved_model_pb2.SavedModel()
    with open(os.path.join(path, "saved_model.pb"), "rb") as file:
        saved.ParseFromString(file.read())
    for meta in saved.meta_graphs:
        chosen = meta.signature_def[signature]
        if signature != "serving_default":
            del meta.signature_def["serving_default"]
            meta.signature_def["serving_default"].CopyFrom(chosen)
    with open(os.path.join(folder, "saved_model.pb"), "wb") as file:
        file.write(saved.SerializeToString())
    for other in ("variables", "assets"):
        if os.path.isdir(os.path.join(path, other)):
            os.symlink(os.path.join(path, other), os.path.join(folder, other))
    return folder


def port_of(ports, tensor, key):
    """OpenVINO names a port after the key, the tensor or its node, depending on the graph."""
    for port in ports:
        if port.get_names() & {key, tensor, tensor.split(":")[0]}:
            return port
    if len(ports) == 1:
        return ports[0]
    raise LookupError(f"no port for {key} ({tensor}) among {[sorted(p.get_names()) for p in ports]}")


def run_openvino(core, path, signature, declared, inputs):
    with tempfile.TemporaryDirectory() as folder:
        model = core.read_model(renamed_copy(path, signature, folder))
        compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        fed = {port_of(compiled.inputs, declared["inputs"][k]["tensor"], k): v for k, v in inputs.items()}
        out = compiled(fed)
        return {k: out[port_of(compiled.outputs, d["tensor"], k)] for k, d in declared["outputs"].items()}


def distance(got, want):
    if got.shape != want.shape:
        return f"shape {got.shape}, not {want.shape}"
    if want.dtype == object or want.dtype.fields:
        return 0.0 if np.array_equal(got.astype(object), want) else "other values"
    wide = np.complex128 if want.dtype.kind == "c" else np.float64
    got, want = got.astype(wide), want.astype(wide)
    same = (got == want) | (np.isnan(got) & np.isnan(want))
    with np.errstate(invalid="ignore"):
        return float(np.max(np.abs(np.where(same, 0, got - want)), initial=0.0))


def main():
    core = ov.Core()
    failed = False
    for file in sorted(glob.glob(os.path.join(ROOT, "test", "data", "expected", "*.json"))):
        with open(file, encoding="utf-8") as handle:
            record = json.load(handle)
        for case in record["cases"]:
            declared = record["signatures"][case["signature"]]
            where = f"{record['model']}/{record['version']} {case['signature']}, {case['name']}"
            try:
                got = run_openvino(core, os.path.join(ROOT, record["path"]), case["signature"], declared,
                                   {k: decode(v) for k, v in case["inputs"].items()})
                worst = [distance(got[k], decode(v)) for k, v in case["outputs"].items()]
                agrees = all(not isinstance(d, str) and d <= 1e-4 for d in worst)
                print(f"{'agrees' if agrees else 'DIFFERS':8} {where}: {worst}")
            except Exception as error:  # pylint: disable=broad-except  (every reason is of interest)
                agrees = False
                said = " | ".join(line for line in str(error).splitlines() if line.strip())
                print(f"{'cannot':8} {where}: {said[-160:]}")
            if record["model"] in ("digits", "half_plus_two") and case["signature"] != "names" and not agrees:
                failed = True
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
