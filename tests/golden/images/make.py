#!/usr/bin/env python3
"""Writes the golden pictures and what Pillow and torchvision make of them.

    python3 -m venv venv && venv/bin/pip install pillow==13.0.0 numpy torch torchvision
    venv/bin/python make.py          # rewrites every file in this folder

libturbojpeg writes the JPEG variants that Pillow cannot (4:4:0, 4:1:1, YCCK, arithmetic coding). Everything is seeded, so a
second run on the same versions changes nothing. Pictures are compared through CRC-32 of their bytes.
"""
import ctypes
import io
import json
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import PIL
import torch
import torchvision
from PIL import Image, ImageDraw, ImageOps
from torchvision import transforms

HERE = Path(__file__).parent
FILTERS = {"nearest": Image.NEAREST, "box": Image.BOX, "bilinear": Image.BILINEAR,
           "bicubic": Image.BICUBIC, "lanczos": Image.LANCZOS}
assert PIL.__version__ == "13.0.0", "the reference is Pillow 13.0.0"


def crc(array):
    return zlib.crc32(np.ascontiguousarray(array).tobytes())


def noise(height, width, channels, seed):
    """The same bytes as noise() in tests/unit/image/golden.cpp: MurmurHash3's finaliser of a counter."""
    x = np.arange(height * width * channels, dtype=np.uint64) + np.uint64(seed * 0x9E3779B9 % 2**32)
    x = (x & np.uint64(0xFFFFFFFF)).astype(np.uint32)
    x ^= x >> 16
    x *= np.uint32(0x85EBCA6B)
    x ^= x >> 13
    x *= np.uint32(0xC2B2AE35)
    x ^= x >> 16
    return (x & 255).astype(np.uint8).reshape(height, width, channels)


def picture_of(array):
    return Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)


def scene(width, height, seed=1):
    """Gradients, edges, saturated shapes and some noise: what JPEG coders find in photographs."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    rgb = np.stack([128 + 100 * np.sin(x / 9 + y / 31), 255 * x / max(width - 1, 1), 255 * y / max(height - 1, 1)], -1)
    image = Image.fromarray(np.clip(rgb, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    draw.ellipse([width * 0.2, height * 0.2, width * 0.6, height * 0.7], fill=(230, 20, 30))
    draw.rectangle([width * 0.5, height * 0.5, width * 0.9, height * 0.9], fill=(10, 40, 220))
    draw.line([0, height, width, 0], fill=(255, 255, 255))
    noisy = np.asarray(image).astype(np.int64) + noise(height, width, 3, seed) // 16 - 8
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


# ---------------------------------------------------------------------------------------------------------------- resize

def resize_cases():
    rng = np.random.default_rng(20)
    cases = []

    def add(filter_name, channels, size_in, size_out):
        seed = len(cases) + 1
        image = picture_of(noise(size_in[0], size_in[1], channels, seed))
        result = np.asarray(image.resize((size_out[1], size_out[0]), FILTERS[filter_name]))
        cases.append([filter_name, channels, *size_in, *size_out, seed, crc(result)])

    for name in FILTERS:
        for channels in (1, 3):
            for _ in range(30):
                size = [int(2 ** rng.uniform(0, 8.5)) for _ in range(4)]
                add(name, channels, size[:2], size[2:])
            # the pass order's rule, unchanged sides, single rows and columns
            for size_in, size_out in (((400, 300), (224, 224)), ((300, 400), (224, 224)), ((500, 100), (100, 100)),
                                      ((500, 100), (100, 50)), ((401, 200), (201, 100)), ((400, 200), (200, 100)),
                                      ((402, 200), (200, 101)), ((90, 70), (90, 35)), ((90, 70), (45, 70)),
                                      ((1, 1), (9, 7)), ((300, 1), (20, 1)), ((1, 300), (1, 20)), ((8, 8), (32, 32)),
                                      ((33, 97), (33, 97))):
                add(name, channels, size_in, size_out)
    # the accumulated position of nearest drifts: wide ones
    for width_in, width_out in ((3000, 224), (4000, 341), (1000, 997), (641, 3000), (16384, 3)):
        add("nearest", 1, (2, width_in), (2, width_out))
        add("bilinear", 3, (3, width_in), (2, width_out))
    return cases


# ------------------------------------------------------------------------------------------------------------ preprocess

def torchvision_preset(edge):
    return transforms.Compose([transforms.Resize(edge), transforms.CenterCrop(224), transforms.ToTensor(),
                               transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])])


def keras_preset(mode):
    """keras.utils.load_img(target_size=(224, 224)) and keras.applications.imagenet_utils.preprocess_input."""
    def apply(image):
        x = np.asarray(image.resize((224, 224), Image.NEAREST)).astype(np.float32)
        if mode == "caffe":
            x = x[..., ::-1] - np.array([103.939, 116.779, 123.68], np.float32)
        elif mode == "tf":
            x = x / np.float32(127.5) - np.float32(1)
        else:
            x = x / np.float32(255) - np.array([0.485, 0.456, 0.406], np.float32)
            x = x / np.array([0.229, 0.224, 0.225], np.float32)
        return torch.from_numpy(np.ascontiguousarray(x.transpose(2, 0, 1)))
    return apply


PRESETS = {
    "torchvision": torchvision_preset(256),
    "torchvision-v2": torchvision_preset(232),
    "keras-caffe": keras_preset("caffe"),
    "keras-tf": keras_preset("tf"),
    "keras-torch": keras_preset("torch"),
    "gray-small": transforms.Compose([transforms.Resize((32, 32)), transforms.ToTensor(),
                                      transforms.Normalize([0.5], [0.5])]),
    "raw01": transforms.Compose([transforms.Resize((224, 224)), transforms.ToTensor()]),
    "raw255": transforms.Compose([transforms.Resize((224, 224)), transforms.PILToTensor(), torch.Tensor.float]),
}


def tensor_record(tensor):
    values = tensor.numpy().astype(np.float32)
    flat = values.reshape(-1)
    probes = [int(i) for i in np.linspace(0, flat.size - 1, 8)]
    return {"shape": list(values.shape), "crc": crc(values), "probes": [[i, float(flat[i])] for i in probes]}


def preprocess_cases(files):
    cases = []
    for preset, apply in PRESETS.items():
        channels = 1 if preset == "gray-small" else 3
        sizes = [(8, 8), (20, 31)] if channels == 1 else [(61, 83), (300, 200), (257, 513), (224, 224), (1, 40)]
        for height, width in sizes:
            seed = 1000 + len(cases)
            tensor = apply(picture_of(noise(height, width, channels, seed)))
            cases.append({"preset": preset, "noise": [height, width, channels, seed], **tensor_record(tensor)})
        for name in files:
            tensor = apply(Image.open(HERE / name).convert("L" if channels == 1 else "RGB"))
            cases.append({"preset": preset, "file": name, **tensor_record(tensor)})
    # crops that pad on one side or on both, with odd differences
    for height, width, crop in ((10, 10, (13, 16)), (10, 21, (15, 8)), (21, 10, (8, 15)), (9, 12, (4, 7)), (11, 13, (4, 4))):
        seed = 1000 + len(cases)
        apply = transforms.Compose([transforms.CenterCrop(crop), transforms.ToTensor()])
        tensor = apply(picture_of(noise(height, width, 3, seed)))
        cases.append({"crop": list(crop), "noise": [height, width, 3, seed], **tensor_record(tensor)})
    return cases


# ------------------------------------------------------------------------------------------------------------------ JPEG

def turbojpeg(image, subsampling, quality=85, **environment):
    """TurboJPEG's tjCompress2; a CMYK picture becomes YCCK."""
    library = ctypes.CDLL("libturbojpeg.so.0")
    library.tjInitCompress.restype = ctypes.c_void_p
    os.environ.update(environment)
    array = np.ascontiguousarray(np.asarray(image))
    if image.mode == "CMYK":
        array = 255 - array
    pixel_format = {"RGB": 0, "L": 6, "CMYK": 11}[image.mode]
    buffer, size = ctypes.c_void_p(), ctypes.c_ulong()
    handle = ctypes.c_void_p(library.tjInitCompress())
    status = library.tjCompress2(handle, array.ctypes.data_as(ctypes.c_void_p), image.width, 0, image.height, pixel_format,
                                 ctypes.byref(buffer), ctypes.byref(size), subsampling, quality, 0)
    assert status == 0
    data = ctypes.string_at(buffer, size.value)
    for name in environment:
        del os.environ[name]
        ctypes.CDLL(None).unsetenv(name.encode())
    return data


def pillow_bytes(image, format_name, **options):
    stream = io.BytesIO()
    image.save(stream, format_name, **options)
    return stream.getvalue()


def without_segment(jpeg, marker):
    offset = 2
    while jpeg[offset + 1] != 0xDA:
        length = struct.unpack(">H", jpeg[offset + 2:offset + 4])[0] + 2
        if jpeg[offset + 1] == marker:
            return jpeg[:offset] + jpeg[offset + length:]
        offset += length
    raise ValueError("no such segment")


def jpeg_files():
    image = scene(83, 61)
    gray, cmyk = image.convert("L"), image.convert("CMYK")
    cmyk_file = pillow_bytes(cmyk, "JPEG", quality=90)
    files = {
        "baseline-444": pillow_bytes(image, "JPEG", quality=92, subsampling=0),
        "baseline-422": pillow_bytes(image, "JPEG", quality=85, subsampling=1),
        "baseline-420": pillow_bytes(image, "JPEG", quality=75, subsampling=2),
        "restart-420": pillow_bytes(image, "JPEG", quality=80, subsampling=2, restart_marker_blocks=3),
        "progressive-420": pillow_bytes(image, "JPEG", quality=75, subsampling=2, progressive=True),
        "progressive-444": pillow_bytes(image, "JPEG", quality=95, subsampling=0, progressive=True),
        "gray": pillow_bytes(gray, "JPEG", quality=85),
        "gray-progressive": pillow_bytes(gray, "JPEG", quality=60, progressive=True),
        "rgb-adobe": pillow_bytes(image, "JPEG", quality=90, keep_rgb=True),
        "cmyk-adobe": cmyk_file,
        "cmyk-without-marker": without_segment(cmyk_file, 0xEE),
        "ycck-420": turbojpeg(cmyk, 2),
        "turbo-440": turbojpeg(image, 4),
        "turbo-411": turbojpeg(image, 5),
        "arithmetic-420": turbojpeg(image, 2, TJ_ARITHMETIC="1"),
    }
    for width, height, subsampling in ((1, 1, 2), (2, 2, 2), (3, 5, 2), (4, 4, 2), (5, 3, 1), (7, 9, 2), (15, 16, 2),
                                       (16, 17, 1), (17, 15, 2), (17, 17, 2)):
        files[f"small-{width}x{height}"] = pillow_bytes(scene(width, height), "JPEG", quality=80, subsampling=subsampling)
    return {name + ".jpg": data for name, data in files.items()}


# ------------------------------------------------------------------------------------------------------------------- PNG

def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def pack_row(samples, depth):
    if depth == 16:
        return samples.astype(">u2").tobytes()
    if depth == 8:
        return samples.astype(np.uint8).tobytes()
    bits = (samples[:, None] >> np.arange(depth - 1, -1, -1)) & 1
    return np.packbits(bits.reshape(-1).astype(np.uint8)).tobytes()


def filtered(rows, pixel_bytes):
    """PNG's five row filters in turn."""
    out, above = b"", bytes(len(rows[0])) if rows else b""
    for index, row in enumerate(rows):
        kind = index % 5
        coded = bytearray()
        for i, value in enumerate(row):
            a = row[i - pixel_bytes] if i >= pixel_bytes else 0
            b = above[i]
            c = above[i - pixel_bytes] if i >= pixel_bytes else 0
            p = a + b - c
            paeth = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
            coded.append((value - (0, a, b, (a + b) // 2, paeth)[kind]) & 255)
        out += bytes([kind]) + bytes(coded)
        above = row
    return out


ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


def png(samples, depth, color_type, interlaced=False, extra=b"", idat_bytes=700):
    """A PNG file of samples[height, width, channels]; `extra` are chunks before the pixels."""
    height, width, channels = samples.shape
    pixel_bytes = max(channels * depth // 8, 1)
    passes = ADAM7 if interlaced else ((0, 0, 1, 1),)
    raw = b""
    for y, x, step_y, step_x in passes:
        part = samples[y::step_y, x::step_x]
        if part.size:
            raw += filtered([pack_row(row.reshape(-1), depth) for row in part], pixel_bytes)
    packed = zlib.compress(raw, 9)
    idat = b"".join(chunk(b"IDAT", packed[i:i + idat_bytes]) for i in range(0, len(packed), idat_bytes))
    header = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, int(interlaced))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + idat + chunk(b"IEND", b"")


def png_files():
    height, width = 23, 37
    rgb = np.asarray(scene(width, height)).astype(np.int64)
    alpha = noise(height, width, 1, 7).astype(np.int64)
    gray = np.asarray(scene(width, height).convert("L")).astype(np.int64)[:, :, None]
    wide = rgb * 256 + noise(height, width, 3, 8)
    palette = chunk(b"PLTE", noise(16, 1, 3, 9).tobytes())
    index = noise(height, width, 1, 10).astype(np.int64)
    files = {"rgb": png(rgb, 8, 2), "rgb-interlaced": png(rgb, 8, 2, interlaced=True),
             "rgba": png(np.concatenate([rgb, alpha], -1), 8, 6),
             "rgb-transparent-color": png(rgb, 8, 2, extra=chunk(b"tRNS", struct.pack(">HHH", *rgb[3, 3]))),
             "rgb-16": png(wide, 16, 2), "rgba-16-interlaced":
                 png(np.concatenate([wide, alpha * 257], -1), 16, 6, interlaced=True),
             "gray-alpha": png(np.concatenate([gray, alpha], -1), 8, 4),
             "gray-alpha-16": png(np.concatenate([gray * 256 + alpha, alpha * 257], -1), 16, 4),
             "gray-transparent": png(gray, 8, 0, extra=chunk(b"tRNS", struct.pack(">H", 200))),
             "palette-8-transparent": png(index % 16, 8, 3, extra=palette + chunk(b"tRNS", bytes(range(0, 160, 10)))),
             "gamma-profile-text": png(rgb, 8, 2, extra=chunk(b"gAMA", struct.pack(">I", 100000)) +
                                       chunk(b"iCCP", b"x\0\0" + zlib.compress(b"no profile")) + chunk(b"tEXt", b"a\0b"))}
    for depth in (1, 2, 4, 8):
        files[f"gray-{depth}"] = png(gray >> (8 - depth), depth, 0)
        files[f"gray-{depth}-interlaced"] = png(gray >> (8 - depth), depth, 0, interlaced=True)
    for depth in (1, 2, 4):
        files[f"palette-{depth}"] = png(index % 2**depth, depth, 3, extra=palette)
    files["palette-index-too-large"] = png(index, 8, 3, extra=palette)
    files["palette-4-interlaced"] = png(index % 16, 4, 3, interlaced=True, extra=palette)
    frames = [scene(20, 14, seed).convert("RGB") for seed in (1, 2)]
    files["animated"] = pillow_bytes(frames[0], "PNG", save_all=True, append_images=frames[1:], duration=50)
    return {name + ".png": data for name, data in files.items()}


def bmp_files():
    image = scene(29, 19)
    index = noise(19, 29, 1, 11)[:, :, 0]
    files = {"rgb": pillow_bytes(image, "BMP"), "gray": pillow_bytes(image.convert("L"), "BMP"),
             "palette": pillow_bytes(image.quantize(16), "BMP"), "bilevel": pillow_bytes(image.convert("1"), "BMP"),
             "rgba": pillow_bytes(Image.merge("RGBA", (*image.split(), Image.fromarray(index))), "BMP")}
    rows = [np.asarray(image)[y, :, ::-1].tobytes() + bytes(-29 * 3 % 4) for y in range(19)]
    body = b"".join(rows)
    files["top-down"] = struct.pack("<2sIHHIIiiHHIIiiII", b"BM", 54 + len(body), 0, 0, 54, 40, 29, -19, 1, 24, 0,
                                    len(body), 0, 0, 0, 0) + body
    body = b"".join(reversed(rows))
    files["os2"] = struct.pack("<2sIHHIIHHHH", b"BM", 26 + len(body), 0, 0, 26, 12, 29, 19, 1, 24) + body
    return {name + ".bmp": data for name, data in files.items()}


# ------------------------------------------------------------------------------------------------------------------ main

def decode_record(name):
    image = Image.open(HERE / name)
    rgb, gray = np.asarray(image.convert("RGB")), np.asarray(image.convert("L"))
    return {"file": name, "height": image.height, "width": image.width, "rgb": crc(rgb), "gray": crc(gray)}


def exif_cases():
    """ImageOps.exif_transpose of one PNG for all orientations; the tests put the chunk in themselves."""
    plain = (HERE / "rgb.png").read_bytes()
    records = []
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        tiff = exif.tobytes().removeprefix(b"Exif\0\0")
        marked = plain[:33] + chunk(b"eXIf", tiff) + plain[33:]
        turned = ImageOps.exif_transpose(Image.open(io.BytesIO(marked))).convert("RGB")
        records.append([orientation, turned.height, turned.width, crc(np.asarray(turned))])
    assert len({record[3] for record in records}) == 8
    return records


def write_json(name, value):
    lines = ",\n".join(json.dumps(entry, separators=(",", ":")) for entry in value)
    (HERE / name).write_text(f"[\n{lines}\n]\n")


def main():
    files = {**jpeg_files(), **png_files(), **bmp_files()}
    for name, data in files.items():
        (HERE / name).write_bytes(data)
    # Pillow's pixels, for decoders that are only close
    for name in ("baseline-444", "baseline-422", "baseline-420", "progressive-420", "gray", "cmyk-adobe"):
        Image.open(HERE / f"{name}.jpg").convert("RGB").save(HERE / f"{name}.pixels.png", optimize=True)
    scene(83, 61).resize((40, 30), Image.BICUBIC).save(HERE / "resized-bicubic.pixels.png", optimize=True)
    scene(83, 61).save(HERE / "resized-input.pixels.png", optimize=True)
    write_json("decode.json", [decode_record(name) for name in files])
    write_json("exif.json", exif_cases())
    write_json("resize.json", resize_cases())
    write_json("preprocess.json", preprocess_cases(["baseline-420.jpg", "gray.jpg", "cmyk-adobe.jpg", "rgba.png"]))
    print(f"Pillow {PIL.__version__}, torchvision {torchvision.__version__}, {len(files)} pictures,",
          sum(p.stat().st_size for p in HERE.iterdir()), "bytes")


if __name__ == "__main__":
    main()
