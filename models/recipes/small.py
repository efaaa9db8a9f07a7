# SPDX-License-Identifier: Apache-2.0
"""The models that are not digits: labels (strings in, strings out) and half_plus_two (one line of arithmetic)."""

from .tf import tf

# English number words and what German says: the asset of `labels`. Some are not ASCII.
WORDS = {
    "zero": "null", "one": "eins", "two": "zwei", "three": "drei", "four": "vier", "five": "fünf",
    "six": "sechs", "seven": "sieben", "eight": "acht", "nine": "neun", "ten": "zehn", "eleven": "elf",
    "twelve": "zwölf", "thirteen": "dreizehn", "twenty": "zwanzig", "thirty": "dreißig",
}


class Labels(tf.Module):
    """label [n] -> text [n], read from the asset words.txt; a word that is not there gives "unknown"."""

    def __init__(self, words_file):
        super().__init__(name="labels")
        self.table = tf.lookup.StaticHashTable(
            tf.lookup.TextFileInitializer(
                words_file, tf.string, 0, tf.string, 1, delimiter="\t"),
            default_value="unknown")

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="label")])
    def serve(self, label):
        return {"text": self.table.lookup(label)}


class HalfPlusTwo(tf.Module):
    """x [n] -> y = 0.5 x + 2."""

    def __init__(self):
        super().__init__(name="half_plus_two")
        self.a = tf.Variable(0.5, name="a")
        self.b = tf.Variable(2.0, name="b")

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def serve(self, x):
        return {"y": self.a * x + self.b}


def save_labels(path):
    words_file = "words.txt"  # in the current folder; relative because the graph remembers the name
    with open(words_file, "w", encoding="utf-8") as file:
        file.writelines(f"{english}\t{german}\n" for english, german in WORDS.items())
    net = Labels(words_file)
    tf.saved_model.save(net, path, signatures={"serving_default": net.serve})


def save_half_plus_two(path):
    net = HalfPlusTwo()
    tf.saved_model.save(net, path, signatures={"serving_default": net.serve})
