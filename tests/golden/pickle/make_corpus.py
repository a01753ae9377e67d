#!/usr/bin/env python3
"""Writes the .pth files of this folder: tests/tools/convert/corpus_test.cpp reads them.

Needs Python's standard library only. pickle writes the streams, so they are what a Python program really produces; the torch
names in them are stand-ins that only pickle by name. Every name starts with ok_ (is read) or bad_ (is refused, and the error
mentions the text behind the entry in expected.txt).

    python3 tests/golden/pickle/make_corpus.py
"""
import collections
import io
import os
import pathlib
import pickle
import struct
import sys
import types
import zipfile

HERE = pathlib.Path(__file__).resolve().parent


def module(name):
    parts = name.split(".")
    for i in range(1, len(parts) + 1):
        sys.modules.setdefault(".".join(parts[:i]), types.ModuleType(".".join(parts[:i])))
    return sys.modules[name]


def named(where, name, base=object, **members):
    """A class that pickles as where.name."""
    made = type(name, (base,), {"__module__": where, "__qualname__": name, **members})
    setattr(module(where), name, made)
    return made


def function(where, name):
    def made(*arguments):
        raise AssertionError("only pickled, never called")

    made.__module__, made.__qualname__, made.__name__ = where, name, name
    setattr(module(where), name, made)
    return made


STORAGE = {n: named("torch", n + "Storage") for n in "Double Float Half BFloat16 Long Int Short Char Byte Bool".split()}
rebuild_v1 = function("torch._utils", "_rebuild_tensor")
rebuild_v2 = function("torch._utils", "_rebuild_tensor_v2")
rebuild_parameter = function("torch._utils", "_rebuild_parameter")
rebuild_sparse = function("torch._utils", "_rebuild_sparse_tensor")


class Storage:
    def __init__(self, kind, key, count):
        self.id = ("storage", STORAGE[kind], key, "cpu", count)


class Call:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def tensor(storage, size, stride=None, offset=0):
    if stride is None:
        stride, step = [], 1
        for n in reversed(size):
            stride.insert(0, step)
            step *= n
    return Call(rebuild_v2, storage, offset, tuple(size), tuple(stride), False, collections.OrderedDict())


class Pickler(pickle._Pickler):
    def persistent_id(self, value):
        return value.id if isinstance(value, Storage) else None


def dumps(value, protocol=2):
    out = io.BytesIO()
    Pickler(out, protocol).dump(value)
    return out.getvalue()


def pack(kind, values):
    return struct.pack("<%d%s" % (len(values), kind), *values)


EXPECTED = []


def write(name, value=None, data=None, mention="", raw=None, compress=zipfile.ZIP_STORED, extra=()):
    EXPECTED.append((name, mention))
    with zipfile.ZipFile(HERE / (name + ".pth"), "w", compress) as z:
        def entry(path, content):
            z.writestr(zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0)), content, compress)

        entry("archive/data.pkl", raw if raw is not None else dumps(value))
        for key, content in (data or {}).items():
            entry("archive/data/" + key, content)
        for path, content in extra:
            entry(path, content)
        entry("archive/version", "3\n")


def state(**tensors):
    result = collections.OrderedDict(tensors)
    return result


SIX = {"0": pack("f", range(6))}
plain = lambda: state(w=tensor(Storage("Float", "0", 6), (2, 3)))


def good():
    write("ok_state_dict", plain(), SIX)
    with_metadata = plain()
    with_metadata._metadata = collections.OrderedDict([("", {"version": 1})])
    write("ok_metadata", with_metadata, SIX)
    write("ok_plain_dict", dict(plain()), SIX)
    write("ok_wrapped", {"epoch": 3, "lr": 0.1, "state_dict": plain(), "best": None, "flags": [True, False]}, SIX)
    write("ok_wrapped_twice", {"model": {"state_dict": plain()}}, SIX)
    write("ok_optimizer", {"model": plain(), "optimizer": {"state": {0: {"step": 7, "exp_avg": tensor(Storage("Float", "0", 6), (6,))}},
                                                         "param_groups": [{"lr": 1e-3, "betas": (0.9, 0.999), "params": [0, 1]}]}}, SIX)
    write("ok_parameter", state(w=Call(rebuild_parameter, plain()["w"], True, collections.OrderedDict())), SIX)
    write("ok_v1", state(w=Call(rebuild_v1, Storage("Float", "0", 6), 0, (2, 3), (3, 1))), SIX)
    shared = Storage("Float", "0", 6)
    write("ok_shared", state(a=tensor(shared, (3,)), b=tensor(shared, (3,), offset=3)), SIX)
    write("ok_strided", state(w=tensor(Storage("Float", "0", 6), (3, 2), (1, 3))), SIX)
    write("ok_scalar", state(n=tensor(Storage("Long", "0", 1), ())), {"0": pack("q", [9])})
    write("ok_empty_tensor", state(w=tensor(Storage("Float", "0", 0), (0, 4))), {"0": b""})
    codes = dict(Double="d", Float="f", Half="e", BFloat16="H", Long="q", Int="i", Short="h", Char="b", Byte="B", Bool="?")
    write("ok_types", state(**{k: tensor(Storage(k, k, 2), (2,)) for k in codes}), {k: pack(c, [1, 0]) for k, c in codes.items()})
    namespace = named("argparse", "Namespace")()
    namespace.lr = 0.1
    write("ok_namespace", {"args": namespace, "state_dict": plain()}, SIX)
    scalar = function("numpy.core.multiarray", "scalar")
    dtype = named("numpy", "dtype")
    write("ok_numpy_scalar", {"best_acc": Call(scalar, Call(dtype, "f8", False, True), b"12345678"), "state_dict": plain()}, SIX)
    write("ok_large_memo", {"names": ["name%d" % i for i in range(2000)], "state_dict": plain()}, SIX)
    write("ok_extra_entries", plain(), SIX, extra=[("archive/byteorder", "little"), ("archive/.data/serialization_id", "1" * 40)])


def hostile_globals():
    for where, name in [("os", "system"), ("posix", "system"), ("subprocess", "Popen"), ("builtins", "eval"), ("builtins", "exec"),
                        ("builtins", "getattr"), ("importlib", "import_module"), ("runpy", "run_path"), ("webbrowser", "open"),
                        ("shutil", "rmtree"), ("socket", "socket"), ("ctypes", "CDLL"), ("pickle", "loads"), ("torch", "load"),
                        ("torch.jit", "load"), ("torch.hub", "load"), ("torch.storage", "_load_from_bytes"), ("operator", "attrgetter"),
                        ("functools", "partial"), ("code", "interact"), ("pty", "spawn"), ("_frozen_importlib", "_call_with_frames_removed")]:
        opcodes = b"\x80\x02c" + where.encode() + b"\n" + name.encode() + b"\nX\x02\x00\x00\x00id\x85R."
        write("bad_global_%s_%s" % (where.replace(".", "_"), name), raw=opcodes, mention=where + "." + name)
    write("bad_whole_model", {"state_dict": plain(), "net": named("torchvision.models.resnet", "ResNet")()}, SIX,
          mention="torchvision.models.resnet.ResNet")
    write("bad_main_class", named("__main__", "Net")(), mention="__main__.Net")
    write("bad_sparse", state(w=Call(rebuild_sparse, 1)), mention="_rebuild_sparse_tensor")
    write("bad_global_unused", raw=b"\x80\x02cos\nsystem\n0}.", mention="os.system")


def hostile_opcodes():
    for name, body in [("inst", b"(ios\nsystem\n"), ("obj", b"(N" + b"o"), ("ext1", b"\x82\x01"), ("stack_global", b"X\x02\0\0\0osX\x06\0\0\0system\x93"),
                       ("persid", b"P1\n"), ("dup", b"N2"), ("get", b"g1\n"), ("long4", b"\x8b\x01\0\0\0\x01"), ("frozenset", b"(\x91"),
                       ("string", b"S'x'\n"), ("newobj_ex", b"NNN\x92")]:
        write("bad_op_" + name, raw=b"\x80\x02" + body + b".", mention="opcode 0x")
    for protocol in (0, 1, 3, 4, 5):
        write("bad_protocol_%d" % protocol, raw=pickle.dumps({"w": 1}, protocol), mention="pickle")
    write("bad_underflow", raw=b"\x80\x02a.", mention="underflow")
    write("bad_no_mark", raw=b"\x80\x02Nt.", mention="mark")
    write("bad_memo", raw=b"\x80\x02h\x07.", mention="memo")
    write("bad_memo_bomb", raw=b"\x80\x02Nr\xff\xff\xff\xff.", mention="memo")
    write("bad_string_bomb", raw=b"\x80\x02X\xff\xff\xff\x7fabc.", mention="bytes in one string")
    write("bad_depth", raw=b"\x80\x02" + b"(" * 70 + b".", mention="marks")
    write("bad_nested", raw=b"\x80\x02)" + b"\x85" * 70 + b".", mention="nested")
    laughs = b"\x80\x02]q\x00" + b"".join(b"](" + b"h" + bytes([i]) + (b"h" + bytes([i])) * 9 + b"eq" + bytes([i + 1]) for i in range(40))
    write("bad_billion_laughs", raw=laughs + b".", mention="stack")
    write("bad_cut", raw=dumps(plain())[:-5], mention="pickle")
    write("bad_tail", raw=dumps(plain()) + b"x", mention="follow")
    write("bad_empty", raw=b"", mention="pickle")


def hostile_tensors():
    def bad(name, size, stride, offset, mention, count=6, data=SIX):
        write("bad_" + name, state(w=tensor(Storage("Float", "0", count), size, stride, offset)), data, mention)

    bad("beyond_storage", (7,), (1,), 0, "storage with 6")
    bad("offset_beyond", (6,), (1,), 1, "storage with 6")
    bad("offset_negative", (2,), (1,), -1, "negative storage offset")
    bad("stride_negative", (2,), (-1,), 4, "negative stride")
    bad("size_negative", (-2,), (1,), 0, "negative size")
    bad("stride_zero_bomb", (1 << 40,), (0,), 0, "repeats")
    bad("overflow", (1 << 40, 1 << 40), (1, 1), 0, "64 bits")
    bad("stride_overflow", (2, 3), (1 << 62, 1 << 62), 0, "")
    bad("rank", (1,) * 9, (1,) * 9, 0, "dimensions")
    bad("storage_short", (6,), (1,), 0, "data/0", data={"0": pack("f", range(5))})
    bad("storage_long", (6,), (1,), 0, "data/0", data={"0": pack("f", range(7))})
    bad("storage_missing", (6,), (1,), 0, "missing", data={})
    bad("storage_negative", (0,), (1,), 0, "negative size", count=-1)
    write("bad_not_a_dict", [1, 2, 3], mention="a list")
    write("bad_no_tensors", {"epoch": 1}, mention="without tensors")
    write("bad_state_is_number", 7, mention="plain value")


def hostile_zips():
    write("bad_deflated", plain(), SIX, "compressed", compress=zipfile.ZIP_DEFLATED)
    write("bad_torchscript", plain(), SIX, "TorchScript", extra=[("archive/code/__torch__.py", "x"), ("archive/constants.pkl", "x")])
    write("bad_path", plain(), SIX, "leaves the archive", extra=[("archive/../../x", "x")])
    write("bad_two_pickles", plain(), SIX, "two entries data.pkl", extra=[("other/data.pkl", "x")])
    write("bad_big_endian", plain(), SIX, "big-endian", extra=[("archive/byteorder", "big")])


def main():
    for old in HERE.glob("*.pth"):
        old.unlink()
    good()
    hostile_globals()
    hostile_opcodes()
    hostile_tensors()
    hostile_zips()
    (HERE / "expected.txt").write_text("".join("%s\t%s\n" % line for line in EXPECTED))
    print(len(EXPECTED), "files,", sum(p.stat().st_size for p in HERE.glob("*.pth")), "bytes")


if __name__ == "__main__":
    main()
