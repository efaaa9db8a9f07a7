#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Records what TensorFlow itself answers for the published models: answers.npz.

    python3 -m venv build/venv-models && build/venv-models/bin/pip install -r models/requirements.txt
    tools/setup --test && build/venv-models/bin/python test/published/record.py

They are loaded as TensorFlow Serving loads them, into a session; tf.saved_model.load() cannot read all of them any more.
"""
import pathlib

import numpy as np
import tensorflow as tf

from inputs import ASKED, kept

HERE = pathlib.Path(__file__).resolve().parent
PUBLISHED = HERE.parents[1] / "build" / "published"
tf1 = tf.compat.v1


def main():
    answers = {}
    for model, asked in ASKED.items():
        with tf1.Session(graph=tf1.Graph()) as session:
            graph = tf1.saved_model.load(session, ["serve"], str(PUBLISHED / model / "saved_model" / "1"))
            for i, (name, inputs) in enumerate(asked):
                signature = graph.signature_def[name]
                outputs = session.run({key: info.name for key, info in signature.outputs.items()},
                                      {signature.inputs[key].name: value for key, value in inputs.items()})
                for key, value in outputs.items():
                    # A list of texts is written as bytes of one width: npz has no objects without pickling.
                    answers[f"{model}/{i}/{key}"] = kept(model, value.astype("S") if value.dtype == object else value)
    np.savez_compressed(HERE / "answers.npz", **answers)
    print(f"answers.npz: {len(answers)} outputs, {(HERE / 'answers.npz').stat().st_size} bytes")


if __name__ == "__main__":
    main()
