#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The text-format parser against C++ protobuf: the same texts are given to config_echo and to `protoc --encode`.

    test_config_protoc.py CONFIG_ECHO [--cases N] [--seed N]

Both must take or refuse each text; a taken one must mean the same message, a refused one get the same first error at the
same line and column. Texts: hand-written edges, then random texts grown from a grammar and spoilt. Also: the tables of
ModelServerConfig against proto/tensorflow_serving/config/model_server_config.proto. Exit status 77 (skipped) where there is no protoc.
"""
import argparse
import concurrent.futures
import os
import random
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
INCLUDE = os.path.join(HERE, "include")

EDGES = [
    "", "# only a comment", "i32: 1", "i32:1", "i32 : 1;", "i32: 1,", "i32: 1;;", "i32: 1 ,i64: 2", "i32: +1", "i32: -0",
    "i32: 2147483647", "i32: 2147483648", "i32: -2147483648", "i32: -2147483649", "i32: - 5", "i32: 0x7fffffff", "i32: 0X10",
    "i32: 0x", "i32: 017", "i32: 018", "i32: 08", "i32: 1.0", "i32: 1e3", "i32: 'a'", "i32: true", "i32: 1a", "i32: 1_",
    "i64: 9223372036854775807", "i64: 9223372036854775808", "i64: -9223372036854775808", "i64: -9223372036854775809",
    "u32: 4294967295", "u32: 4294967296", "u32: -1", "u64: 18446744073709551615", "u64: 18446744073709551616",
    "u64: 0xffffffffffffffff", "u64: 0x1ffffffffffffffff", "u64: 01777777777777777777777", "u64: 02000000000000000000000",
    "d: 1", "d: 1.", "d: .5", "d: 1.5f", "d: 1F", "d: 1e10", "d: 1e", "d: 1e+", "d: 1e400", "d: -1e400", "d: 0x10", "d: 010",
    "d: 00", "d: 0", "d: -0", "d: -0.0 d: 1", "d: inf", "d: -INF", "d: Infinity", "d: nan", "d: -nan", "d: none", "d: 1.2.3",
    "d: 1e1.5", "d: 18446744073709551616", "d: 99999999999999999999999999", "d: a.5", "d: 4..5", "d: 'a'", "d: true",
    "f: 1e39", "f: -1e39", "f: 0.1", "f: 3.4028235677973366e38", "f: 1e-50", "f: 16777217",
    "b: true", "b: True", "b: TRUE", "b: t", "b: T", "b: 1", "b: 0", "b: 2", "b: 01", "b: 0x1", "b: -1", "b: f", "b: 'true'",
    "colour: RED", "colour: red", "colour: 1", "colour: 99", "colour: -2", "colour: BLUE", "colour: 2147483648", "colour: 'RED'",
    "colour: -99", "s: 'a'", 's: "a"', "s: 'a' 'b' \"c\"", "s: 'a'\n# between\n'b'", "s: 'a\\x4'", "s: '\\x'", "s: '\\xg'", "s: '\\X41'",
    "s: '\\1'", "s: '\\12'", "s: '\\123'", "s: '\\1234'", "s: '\\777'", "s: '\\8'", "s: '\\u00e9'", "s: '\\u00'", "s: '\\ud83d\\ude00'",
    "s: '\\ud83d'", "s: '\\ud83d\\u0041'", "s: '\\ude00'", "s: '\\U0001f600'", "s: '\\U00110000'", "s: '\\U001fffff'", "s: '\\U00200000'",
    "s: '\\U0000d83d\\ude00'", "s: '\\a\\b\\f\\n\\r\\t\\v\\\\\\'\\\"\\?'", "s: '\\q'", "s: 'a\nb'", "s: 'a", "s: '", "s: '\\", "s: '\\'",
    "s: 'tab\there'", "s: 'é'", "s: a", "s: 5", "s: ''", "s: '' s: 'a'", "s: 'a' s: ''", "s: '\\0a'",
    "in {}", "in: {}", "in <>", "in: <>", "in { i32: 1 }", "in { i32: 1 >", "in < i32: 1 }", "in {", "in }", "in", "in:", "in: 5",
    "in {,}", "in {;}", "in { i32: 1,, }", "in {} in {}", "in { in { in {} } }", "in [{}]", "in {} , i32: 1", "}", ">", "{}",
    "many: 1 many: 2", "many: [1, 2]", "many: []", "many: [1,]", "many: [,1]", "many: [1 2]", "many: [1", "many [1]", "many: [[1]]",
    "many: [1] many: 2, many: [3]", "words: ['a' 'b', 'c']", "words: [\"a\", b]", "ins [{}, <>]", "ins: [{i32: 1}]", "ins []", "ins: []",
    "ins [{},]", "ins {} ins {}", "ins [{}], ins <>", "i32: [1]", "in: [{}]", "i32: 1 i32: 1", "i32: 0 i32: 1", "i32: 1 i32: 0",
    "b: false b: true", "b: true b: true", "maybe: 0 maybe: 1", "maybe: 0", "colour: RED colour: GREEN", "colour: GREEN colour: RED",
    "map { key: 'a' value: 1 }", "map { key: 'a' }", "map { value: 2 }", "map {}", "map: [{ key: 'a' }, { key: 'b' value: 3 }]",
    "map { key: 'a' value: 1 } map { key: 'a' value: 2 }", "map { key: 'a' key: 'b' }", "map { value: 1 value: 2 }", "map { key: 5 }",
    "map { kee: 'a' }", "left: 'a'", "left: 'a' left: 'b'", "left: '' left: ''", "left: 'a' right {}", "right {} left: ''", "right {} right {}",
    "any { type_url: 'a' value: 'b' }", "any { [type.googleapis.com/test.Everything] { i32: 5 } }",
    "any { [type.googleapis.com/test.Everything]: { i32: 5 } }", "any { [type.googleapis.com/test.Everything] < i32: 5 > }",
    "any { [ type . googleapis . com / test . Everything ] { } }", "any { [type.googleapis.com/test.Nothing] { } }",
    "any { [example.com/test.Everything] { } }", "any { [test.Everything] { } }", "any { [type.googleapis.com/test.Everything] 5 }",
    "any { [type.googleapis.com/test.Everything] {} [type.googleapis.com/test.Everything] {} }",
    "any { [type.googleapis.com/test.Everything] {}, }", "any { type_url: 'a' [type.googleapis.com/test.Everything] {} }",
    "any { [type.googleapis.com/test.Everything] {} type_url: 'a' }", "any { [type.googleapis.com/test.Everything] { zz: 1 } }",
    "[test.ext]: 1", "[test.ext] {}", "[", "[a", "[a.]", "[a.b", "zz: 1", "zz {}", "zz", "I32: 1", "i32", "i32 1", "5: 1", "'a': 1", "i32: ",
    "\x01", "i32: 1\x7f", "i32: é", "i32: 1 # é \x01 ends\n i64: 2", "\ti32: x", "a\tb: 1", "\t \ti32\t: \tx", "i32: 1\r\ni64: x", "i32.5: 1",
    "i32: 5.", "i32: .", "i32: /", "-", "i32: --1", "i32:\n\n  x", "\ufeffi32: 1", "i32: 1\vi64: 2\f", "s: 'a'b", "s: 'a'i32: 5", "i32: 1i64: 2",
    "i32:1i64:2", "i32: 0x1g", "b: truei32: 1", "i32: 1#x", "d: 1.5x", "many: [0x1,01,1]", "d: 1f2", "d: .e5", "d: 5.e5", "d: .5.5", "u64: 1.f",
]


class Grammar:
    """Random texts: mostly right ones, of every construct."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def pick(self, *choices):
        return self.random.choice(choices)

    def space(self):
        return self.pick(" ", " ", " ", "", "\n", "\t", "  ", " # note\n")

    def string(self):
        parts = []
        for _ in range(self.random.randint(1, 2)):
            quote = self.pick("'", '"')
            body = "".join(self.pick("a", "Z", " ", "\\n", "\\x4", "\\101", "\\u00e9", "\\'", '\\"', "é", "#", "{", "\\\\", "\\0")
                           for _ in range(self.random.randint(0, 5)))
            parts.append(quote + body + quote)
        return self.pick(" ", "\n", "").join(parts)

    def number(self):
        return self.pick("0", "1", "-1", "7", "0x1F", "010", "2147483647", "-2147483648", "4294967295", "1.5", "1e3", "-0", "18446744073709551615")

    def scalar(self, name):
        if name in ("s", "words", "left", "key"):
            return self.string()
        if name == "b":
            return self.pick("true", "false", "t", "f", "0", "1", "True", "yes")
        if name == "colour":
            return self.pick("RED", "GREEN", "BLUE", "1", "-2", "9", "red")
        if name in ("d", "f"):
            return self.pick("1", "1.5", ".5", "-2e3", "1f", "inf", "-nan", "7", "3.25F", "0", "-0")
        return self.number()

    def braces(self, depth, body=None):
        body = self.message(depth + 1) if body is None else body
        return self.pick("{%s}", "{ %s }", "<%s>") % body

    def field(self, depth):
        name = self.pick("i32", "i64", "u32", "u64", "d", "f", "b", "s", "colour", "in", "many", "words", "ins", "map", "any", "left", "right", "maybe")
        if name in ("in", "right", "ins"):
            if depth > 3:
                return ""
            if name == "ins" and self.random.random() < 0.4:
                value = "[" + ", ".join(self.braces(depth) for _ in range(self.random.randint(0, 2))) + "]"
            else:
                value = self.braces(depth)
            return name + self.pick("", ":", " ", ": ") + value
        if name == "map":
            return name + self.space() + self.braces(depth, "key: %s value: %s" % (self.string(), self.number()))
        if name == "any":
            return name + self.space() + self.braces(depth, "[type.googleapis.com/test.Everything] " + self.braces(depth) if depth < 3 else "")
        if name in ("many", "words") and self.random.random() < 0.5:
            return name + ":" + self.space() + "[" + ", ".join(self.scalar(name) for _ in range(self.random.randint(0, 3))) + "]"
        return name + self.space() + ":" + self.space() + self.scalar(name)

    def message(self, depth=0):
        return self.space().join(self.field(depth) + self.pick("", "", ",", ";") for _ in range(self.random.randint(0, 4)))

    def spoilt(self):
        text = self.message()
        for _ in range(self.pick(0, 0, 1, 2)):
            at = self.random.randint(0, len(text))
            what = self.pick("drop", "add", "double")
            if what == "drop":
                text = text[:at] + text[at + 1:]
            elif what == "add":
                text = text[:at] + self.pick("{", "}", "[", "]", ":", ",", "'", "5", "x", ".", "-", "<", "\n", "\\", "#", "\x02") + text[at:]
            else:
                text = text[:at] + text[max(0, at - 5):at] + text[at:]
        return text


def run(command, data):
    done = subprocess.run(command, input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    if done.returncode < 0 or done.returncode > 1:
        raise AssertionError(f"{command} ended with {done.returncode} on {data!r}: {done.stderr!r}")
    return done.returncode == 0, done.stdout, done.stderr.decode(errors="replace")


def protoc(mode, data):
    return run(["protoc", f"-I{INCLUDE}", f"--{mode}=test.Everything", "everything.proto"], data)


def first_error(text):
    """(line, column, message) of the first line that has all three."""
    match = re.search(r"^input:(\d+):(\d+): (.*)$", text, re.M)
    return match and (int(match[1]), int(match[2]), match[3])


def without_hint(message):
    return re.sub(r" ?\((did you mean|it belongs inside|the text ends here).*\)$", "", message).rstrip()


def compare(echo, text):
    """None, or what differs."""
    data = text.encode()
    ours_good, ours, our_errors = run([echo], data)
    good, encoded, errors = protoc("encode", data)
    if ours_good != good:
        return f"we {'take' if ours_good else 'refuse'} it, C++ does not\n  ours: {our_errors}\n  C++: {errors}"
    if good:
        _, ours_decoded, _ = protoc("decode", ours)
        _, decoded, _ = protoc("decode", encoded)
        return None if ours_decoded == decoded else f"another message\n--- ours\n{ours_decoded.decode()}--- C++\n{decoded.decode()}"
    line, column, message = first_error(our_errors)
    expected = first_error(errors)
    if expected is None:
        return f"no place in C++'s errors: {errors}"
    if (line, column, without_hint(message)) != (expected[0], expected[1], expected[2].rstrip()):
        return f"another error\n  ours: {(line, column, message)}\n  C++:  {expected}"
    return None


def check_tables(echo, which, proto, source):
    """The tables in source say what the .proto file says. TensorFlow's ConfigProto is not in it."""
    listed = subprocess.run([echo, which], stdout=subprocess.PIPE, check=True).stdout.decode().split("\n")
    ours = {tuple(line.split()[:3]) for line in listed if line}
    ours = {row for row in ours if row[0].startswith(("tensorflow.serving.", "google."))}
    descriptor = subprocess.run(
        ["protoc", f"-I{ROOT}/proto", f"-I{INCLUDE}", "-o/dev/stdout", "--include_imports", f"tensorflow_serving/config/{proto}"],
        stdout=subprocess.PIPE, check=True).stdout
    theirs = {tuple(line.split()) for line in fields_of(descriptor)}
    theirs |= {("google.protobuf.Any", "type_url", "1"), ("google.protobuf.Any", "value", "2")}
    used = {row[0] for row in ours}
    theirs = {row for row in theirs if row[0] in used or row[0].startswith("tensorflow.")}
    if ours != theirs:
        sys.exit(f"the tables and the .proto file differ\n  only in src/config/{source}: {sorted(ours - theirs)}\n"
                 f"  only in {proto}: {sorted(theirs - ours)}")
    return len(ours)


def parts(data):
    """Protocol Buffers bytes as (field number, number or bytes); FileDescriptorSet has nothing of fixed size."""
    at = 0

    def varint():
        nonlocal at
        number = shift = 0
        while True:
            byte = data[at]
            at += 1
            number |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                return number

    while at < len(data):
        tag = varint()
        size = varint()
        if tag & 7 == 0:
            yield tag >> 3, size
        else:
            assert tag & 7 == 2, f"wire type {tag & 7}"
            yield tag >> 3, data[at:at + size]
            at += size


def fields_of(descriptor_set):
    """"message field number" for each field of the files. In a file 2: package, 4: messages; in a message 1: name, 2: fields, 3:
    messages inside it; in a field 1: name, 3: number."""
    def walk(message, prefix):
        name = prefix + "." + dict(parts(message))[1].decode()
        for number, value in parts(message):
            if number == 2:
                field = dict(parts(value))
                yield f"{name} {field[1].decode()} {field[3]}"
            elif number == 3:
                yield from walk(value, name)

    for _, file in parts(descriptor_set):
        for number, value in parts(file):
            if number == 4:
                yield from walk(value, dict(parts(file))[2].decode())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("echo")
    parser.add_argument("--cases", type=int, default=300)
    parser.add_argument("--seed", type=int, default=20)
    options = parser.parse_args()
    if shutil.which("protoc") is None:
        print("skipped: there is no protoc")
        sys.exit(77)
    grammar = Grammar(options.seed)
    texts = EDGES + [grammar.spoilt() for _ in range(options.cases)]
    wrong = taken = 0
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for text, difference in zip(texts, pool.map(lambda text: compare(options.echo, text), texts)):
            if difference:
                wrong += 1
                print(f"{text!r}: {difference}")
    fields = check_tables(options.echo, "fields", "model_server_config.proto", "serving_types.c")
    fields += check_tables(options.echo, "files", "server_files.proto", "server_types.c")
    print(f"{len(texts)} texts, {wrong} differ; {fields} fields of the tables agree with the .proto files")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
