# SPDX-License-Identifier: Apache-2.0
"""TFRecord files in Python, by themselves: what the server reads and writes is checked with code that it does not share."""
import struct


def _table():
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _table()


def masked_crc(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def write(path, records):
    with open(path, "wb") as file:
        for record in records:
            head = struct.pack("<Q", len(record))
            file.write(head + struct.pack("<I", masked_crc(head)) + record + struct.pack("<I", masked_crc(record)))


def read(path):
    """Every record; a file that is cut off or damaged is an error."""
    data, at = path.read_bytes(), 0
    while at < len(data):
        (size, crc) = struct.unpack_from("<QI", data, at)
        assert crc == masked_crc(data[at:at + 8]), f"{path}: the length at {at} is damaged"
        record = data[at + 12:at + 12 + size]
        assert len(record) == size, f"{path}: the record at {at} is cut off"
        assert struct.unpack_from("<I", data, at + 12 + size) == (masked_crc(record),), f"{path}: damaged at {at}"
        yield record
        at += 16 + size
