# SPDX-License-Identifier: Apache-2.0
"""What the published models are asked, by record.py and by test_published.py alike."""
import numpy as np

TEXTS = [text.encode() for text in (
    "#include <stdio.h>\n\nint main(void)\n{\n    printf(\"hello\\n\");\n    return 0;\n}\n",
    "def fib(n):\n    return n if n < 2 else fib(n - 1) + fib(n - 2)\n\nprint([fib(i) for i in range(10)])\n",
    "SELECT name, COUNT(*) FROM orders JOIN customers USING (id) GROUP BY name HAVING COUNT(*) > 3;\n",
    "package main\n\nimport \"fmt\"\n\nfunc main() {\n\tfmt.Println(\"hello\")\n}\n",
    "<!DOCTYPE html>\n<html><head><title>Grüße</title></head><body><p class=\"a\">Ω</p></body></html>\n",
    "",
)]


def example(text):
    """A serialized tf.Example with the feature "content"; guesslang's classify signature takes it for the text itself."""
    def field(number, data):
        assert len(data) < 128
        return bytes([number << 3 | 2, len(data)]) + data
    feature = field(1, b"content") + field(2, field(1, field(1, text)))
    return field(1, field(1, feature))


CLASSIFIED = [b"int main(void) { return 0; }", b"print([x for x in range(10)])"]


def sounds():
    """Two pieces of 2 s at 22,050 Hz: a chord, and a tone that rises."""
    t = np.arange(43844) / 22050
    chord = sum(np.sin(2 * np.pi * f * t) for f in (261.63, 329.63, 392.0)) / 4
    rising = 0.5 * np.sin(2 * np.pi * (110 * t + 165 * t * t))
    return np.stack([chord, rising])[..., None].astype(np.float32)


def molecule(atoms):
    """A graph: what each atom is, its 16 neighbours, how far they are, and one divided by their number."""
    random = np.random.RandomState(atoms)
    elements = np.eye(10, dtype=np.float32)[random.randint(1, 10, atoms)]
    neighbours = random.randint(0, atoms, (atoms, 16)).astype(np.int32)
    distances = random.uniform(0.05, 0.2, (atoms, 16)).astype(np.float32)
    degree = np.maximum((neighbours > 0).sum(axis=1), 1)
    return {"input_1": elements, "input_2": neighbours, "input_3": distances, "input_4": (1 / degree).astype(np.float32)}


# model: [(signature, inputs)]
ASKED = {
    "basic-pitch": [("serving_default", {"input_2": sounds()})],
    "guesslang": [("predict", {"content": np.array(TEXTS, object)}), ("predict", {"content": np.array(TEXTS[1:2], object)}),
                  ("classification", {"inputs": np.array([example(text) for text in CLASSIFIED], object)})],
    "nmrgnn": [("serving_default", molecule(12)), ("serving_default", molecule(5))],
}


def kept(model, output):
    """The part of an output that is compared: every tenth moment of a piece is enough."""
    return output[:, ::10] if model == "basic-pitch" else output
