# SPDX-License-Identifier: Apache-2.0
"""Whether an answer means what the recorded one means.

REST: status, content type and the body as JSON. gRPC: code, text and the message field by field. Numbers may differ by 1e-5
of themselves; texts may not differ at all. Each function returns None, or what differs: wanted / found.
"""
import base64
import json
import math

from google.protobuf import symbol_database

RELATIVE, ABSOLUTE = 1e-5, 1e-6


def short(value, limit=200):
    text = repr(value)
    return text if len(text) <= limit else text[:limit] + "..."


def near(a, b):
    if a == b:
        return True
    if not isinstance(a, float) and not isinstance(b, float):
        return False
    a, b = float(a), float(b)
    if math.isnan(a) or math.isnan(b):
        return math.isnan(a) and math.isnan(b)
    if math.isinf(a) or math.isinf(b):
        return False
    return abs(a - b) <= max(ABSOLUTE * min(1.0, abs(a)), RELATIVE * max(abs(a), abs(b)))


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def json_difference(want, got, path="$"):
    if is_number(want) and is_number(got):
        return None if near(want, got) else f"{path}: {want!r} / {got!r}"
    if type(want) is not type(got):
        return f"{path}: {short(want)} / {short(got)}"
    if isinstance(want, dict):
        if set(want) != set(got):
            return f"{path}: names {sorted(set(want) ^ set(got))}"
        parts = ((want[name], got[name], f"{path}.{name}") for name in want)
    elif isinstance(want, list):
        if len(want) != len(got):
            return f"{path}: {len(want)} / {len(got)} items"
        parts = ((a, b, f"{path}[{i}]") for i, (a, b) in enumerate(zip(want, got)))
    else:
        return None if want == got else f"{path}: {short(want)} / {short(got)}"
    return next(filter(None, (json_difference(*part) for part in parts)), None)


def value_difference(want, got, path):
    if hasattr(want, "DESCRIPTOR"):
        return message_difference(want, got, path)
    return None if type(want) is type(got) and near(want, got) else f"{path}: {short(want)} / {short(got)}"


def message_difference(want, got, path=""):
    """Field by field; the entries of a map in any order; what is in an Any, where its type is known."""
    if want.DESCRIPTOR.full_name == "google.protobuf.Any" and want.type_url == got.type_url:
        try:
            kind = symbol_database.Default().GetSymbol(want.type_url.rsplit("/", 1)[-1])
        except KeyError:
            return None if want.value == got.value else f"{path}: bytes differ"
        return message_difference(kind.FromString(want.value), kind.FromString(got.value), path)
    for name in sorted({field.name for field, _ in want.ListFields()} | {field.name for field, _ in got.ListFields()}):
        found = field_difference(want, got, want.DESCRIPTOR.fields_by_name[name], f"{path}.{name}" if path else name)
        if found:
            return found
    return None


def field_difference(want, got, field, path):
    a, b = getattr(want, field.name), getattr(got, field.name)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        if set(a) != set(b):
            return f"{path}: keys {sorted(map(str, set(a) ^ set(b)))}"
        parts = ((a[key], b[key], f"{path}[{key}]") for key in a)
    elif field.is_repeated:
        if len(a) != len(b):
            return f"{path}: {len(a)} / {len(b)} values"
        parts = ((x, y, f"{path}[{i}]") for i, (x, y) in enumerate(zip(a, b)))
    elif field.message_type is not None and want.HasField(field.name) != got.HasField(field.name):
        return f"{path}: {'missing' if want.HasField(field.name) else 'not expected'}"
    else:
        parts = ((a, b, path),)
    return next(filter(None, (value_difference(*part) for part in parts)), None)


def body_bytes(answer):
    if answer.get("body") is not None:
        return answer["body"].encode()
    return base64.b64decode(answer.get("body_b64") or "")


def rest_difference(record, answer):
    want, kind = record["response"], record.get("compare", "all")
    if answer["status"] != want["status"]:
        return f"status {want['status']} / {answer['status']} {short(body_bytes(answer))}"
    if kind == "code":
        return None
    if answer["content_type"] != want["content_type"]:
        return f"content type {want['content_type']!r} / {answer['content_type']!r}"
    for name in record.get("compare_headers", []):
        if answer["headers"].get(name) != want["headers"].get(name):
            return f"header {name}: {want['headers'].get(name)!r} / {answer['headers'].get(name)!r}"
    a, b = body_bytes(want), body_bytes(answer)
    if kind == "type" or a == b:
        return None
    try:
        difference = json_difference(*(json.loads(body.decode("utf-8", "surrogateescape")) for body in (a, b)))
    except ValueError:
        return f"body {short(a)} / {short(b)}"
    return f"body {difference}" if difference else None


def grpc_difference(record, answer, methods):
    want, kind = record["response"], record.get("compare", "all")
    if answer["code"] != want["code"]:
        return f"code {want['code']} {short(want['message'])} / {answer['code']} {short(answer['message'])}"
    if kind == "code":
        return None
    if answer["message"] != want["message"]:
        return f"message {short(want['message'])} / {short(answer['message'])}"
    wanted = base64.b64decode(want.get("b64") or "")
    if want["code"] != "OK" or wanted == answer["raw"]:
        return None
    if record["request"]["method"] not in methods:
        return "bytes differ"
    response = methods[record["request"]["method"]][1]
    return message_difference(response.FromString(wanted), response.FromString(answer["raw"]))
