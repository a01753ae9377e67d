#!/usr/bin/env python3
"""Opens a .rne file with Python's own `safetensors` and compares it with a JSON summary.

usage: safetensors_test.py MODEL.rne SUMMARY.json

The summary is what tests/golden/make_golden writes beside each golden file: version, output, labels, preprocess,
provenance and, per tensor, element type, shape and values. Checksums are computed here as docs/format.md defines them.
Exit code 0 when everything agrees; otherwise every difference is printed and the exit code is 1.
Needs the package `safetensors` only.
"""

import json
import math
import struct
import sys

from safetensors import deserialize

ELEMENT_TYPES = {"F32": ("f32", 4), "F16": ("f16", 2), "BF16": ("bf16", 2)}


def crc32c(data):
    """CRC-32C by its definition: reflected polynomial 0x82F63B78, initial and final value inverted."""
    register = 0xFFFFFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = (register >> 1) ^ (0x82F63B78 if register & 1 else 0)
    return register ^ 0xFFFFFFFF


def values_of(dtype, data):
    """Little-endian floats as Python numbers."""
    if dtype == "F32":
        return list(struct.unpack(f"<{len(data) // 4}f", data))
    if dtype == "F16":
        return list(struct.unpack(f"<{len(data) // 2}e", data))
    halves = struct.unpack(f"<{len(data) // 2}H", data)  # bfloat16 is the upper half of a float32
    return [struct.unpack("<f", struct.pack("<I", half << 16))[0] for half in halves]


def metadata_of(raw):
    (length,) = struct.unpack("<Q", raw[:8])
    return json.loads(raw[8 : 8 + length])["__metadata__"], 8 + length


def differences(raw, summary):
    metadata, data_start = metadata_of(raw)
    expected_texts = {
        "version": metadata["resnet_engine.version"],
        "output": json.loads(metadata["resnet_engine.graph"])["output"],
        "labels": json.loads(metadata.get("resnet_engine.labels", "[]")),
        "preprocess": metadata.get("resnet_engine.preprocess", ""),
        "provenance": json.loads(metadata.get("resnet_engine.provenance", "{}")),
    }
    for key, found in expected_texts.items():
        if found != summary[key]:
            yield f"{key}: {found!r}, expected {summary[key]!r}"
    if data_start % 64 != 0:
        yield f"the data starts at byte {data_start}, which is no multiple of 64"
    if not all(isinstance(value, str) for value in metadata.values()):
        yield "__metadata__ holds something else than strings"

    sums = json.loads(metadata["resnet_engine.crc32c"])
    tensors = dict(deserialize(raw))  # the library's own strict reader
    if set(tensors) != set(summary["tensors"]):
        yield f"tensors {sorted(tensors)}, expected {sorted(summary['tensors'])}"
        return
    for name, tensor in tensors.items():
        expected = summary["tensors"][name]
        data = bytes(tensor["data"])
        dtype, element_bytes = ELEMENT_TYPES[tensor["dtype"]]
        if dtype != expected["dtype"]:
            yield f"{name}: element type {dtype}, expected {expected['dtype']}"
        if list(tensor["shape"]) != expected["shape"]:
            yield f"{name}: shape {tensor['shape']}, expected {expected['shape']}"
        if len(data) != math.prod(tensor["shape"]) * element_bytes:
            yield f"{name}: {len(data)} bytes do not fit the shape {tensor['shape']}"
        if values_of(tensor["dtype"], data) != expected["values"]:
            yield f"{name}: other values than expected"
        if sums.get(name) != f"{crc32c(data):08x}":
            yield f"{name}: CRC32C is {crc32c(data):08x}, the file says {sums.get(name)}"


def main():
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    assert crc32c(b"123456789") == 0xE3069283
    with open(sys.argv[1], "rb") as file:
        raw = file.read()
    with open(sys.argv[2], encoding="utf-8") as file:
        summary = json.load(file)
    found = list(differences(raw, summary))
    for difference in found:
        print(f"{sys.argv[1]}: {difference}")
    if not found:
        print(f"{sys.argv[1]}: {len(summary['tensors'])} tensors agree")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
