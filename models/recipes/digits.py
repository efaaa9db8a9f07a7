# SPDX-License-Identifier: Apache-2.0
"""The digits: scikit-learn's 8x8 pictures enlarged to 28x28, and the networks that read them.

A picture is 784 bytes, each 0..16; a network's input is byte / 16. Enlarging repeats pixels:
pixel (r, c) of the 28x28 picture is pixel (r * 8 // 28, c * 8 // 28) of the 8x8 one.
"""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from .tf import tf

HELD_OUT = 250
HIDDEN = 128
CLASSES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


def pictures():
    """(train bytes, train labels, held-out bytes, held-out labels); bytes are uint8 [n, 784]."""
    bunch = load_digits()
    at = np.arange(28) * 8 // 28
    large = bunch.images.astype(np.uint8)[:, at][:, :, at].reshape(-1, 784)
    train_x, test_x, train_y, test_y = train_test_split(
        large, bunch.target, test_size=HELD_OUT, stratify=bunch.target, random_state=4)
    return train_x, train_y, test_x, test_y


def as_input(picture_bytes):
    """What a network is given for these bytes."""
    return picture_bytes.astype(np.float32) / np.float32(16)


class Digits(tf.Module):
    """input [n, 784] -> hidden [n, 128] -> probabilities [n, 10]; class names come from an asset."""

    def __init__(self, seed, names_file, inputs=784):
        super().__init__(name="digits")
        random = np.random.default_rng(seed)
        self.inputs = inputs
        self.w1 = tf.Variable(random.normal(0, (2 / inputs) ** 0.5, [inputs, HIDDEN]).astype(np.float32), name="w1")
        self.b1 = tf.Variable(np.zeros(HIDDEN, np.float32), name="b1")
        self.w2 = tf.Variable(random.normal(0, (2 / HIDDEN) ** 0.5, [HIDDEN, 10]).astype(np.float32), name="w2")
        self.b2 = tf.Variable(np.zeros(10, np.float32), name="b2")
        self.names_table = tf.lookup.StaticHashTable(
            tf.lookup.TextFileInitializer(
                names_file, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER,
                tf.string, tf.lookup.TextFileIndex.WHOLE_LINE),
            default_value="unknown")

    def hidden(self, x):
        if self.inputs == 49:  # the miniature, for versions that are only there to be refused: 4x4 blocks, averaged
            x = tf.reshape(tf.reduce_mean(tf.reshape(x, [-1, 7, 4, 7, 4]), axis=[2, 4]), [-1, 49])
        return tf.nn.relu(tf.matmul(x, self.w1) + self.b1)

    def logits(self, x):
        return tf.matmul(self.hidden(x), self.w2) + self.b2

    def probabilities(self, x):
        return tf.nn.softmax(self.logits(x))

    def name_of(self, x):
        return self.names_table.lookup(tf.argmax(self.logits(x), axis=1))


def train(net, x, y, seed, epochs, batch=32, rate=1e-3):
    """Adam, written out: the same few lines on every TensorFlow. Weights move; nothing is returned."""
    variables = [net.w1, net.b1, net.w2, net.b2]
    first = [tf.Variable(tf.zeros_like(v)) for v in variables]
    second = [tf.Variable(tf.zeros_like(v)) for v in variables]

    @tf.function
    def step(xs, ys, t):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=ys, logits=net.logits(xs)))
        for v, g, m, s in zip(variables, tape.gradient(loss, variables), first, second):
            m.assign(0.9 * m + 0.1 * g)
            s.assign(0.999 * s + 0.001 * g * g)
            v.assign_sub(rate * (m / (1 - 0.9 ** t)) / (tf.sqrt(s / (1 - 0.999 ** t)) + 1e-7))

    random = np.random.default_rng(seed)
    t = 0
    for _ in range(epochs):
        order = random.permutation(len(x))
        for at in range(0, len(x), batch):
            t += 1
            rows = order[at:at + batch]
            step(tf.constant(x[rows]), tf.constant(y[rows]), tf.constant(float(t)))


def accuracy(net, x, y):
    return float(np.mean(np.argmax(net.logits(tf.constant(x)).numpy(), axis=1) == y))


def signatures(net, input_name="input", prediction=None):
    """The three signatures; `prediction` takes the place of serving_default's output."""
    spec = tf.TensorSpec([None, 784], tf.float32, name=input_name)

    def signature(key, compute):
        return tf.function(lambda x: {key: compute(x)}, input_signature=[spec], autograph=False).get_concrete_function()

    return {
        "serving_default": signature("prediction", prediction or net.probabilities),
        "features": signature("features", net.hidden),
        "names": signature("name", net.name_of),
    }


def save(net, path, **options):
    net.signature_functions = signatures(net, **options)
    tf.saved_model.save(net, path, signatures=net.signature_functions)


def write_names():
    """Writes the asset into the current folder. Its name is relative because the graph remembers it."""
    with open("names.txt", "w", encoding="utf-8") as file:
        file.write("\n".join(CLASSES) + "\n")
    return "names.txt"
