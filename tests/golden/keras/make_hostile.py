"""Makes hostile/: Keras files that must be refused, each for the reason in expected.txt.

pip install tensorflow==2.21.0 keras==3.15.1 h5py==3.14.0, then: python tests/golden/keras/make_hostile.py
"""

import json
import os
import shutil
import zipfile
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import h5py  # noqa: E402
import keras  # noqa: E402
import numpy as np  # noqa: E402

L = keras.layers
OUT = Path(__file__).parent / "hostile"
shutil.rmtree(OUT, ignore_errors=True)
OUT.mkdir()
expected = {}


def network(layers, outputs=1, channels=3):
    inputs = keras.Input((8, 8, channels))
    x = inputs
    for layer in layers:
        x = layer(x)
    x = L.GlobalAveragePooling2D(name="pool")(x)
    heads = [L.Dense(2, name=f"head{i}")(x) for i in range(outputs)]
    return keras.Model(inputs, heads[0] if outputs == 1 else heads)


def plain():
    return network([L.Conv2D(2, 3, name="conv"), L.BatchNormalization(name="norm")])


def save(name, model, reason):
    model.save(OUT / name)
    expected[name] = reason


def change(name, reason, edit):
    """The plain model with a change that Keras itself would not write."""
    path = OUT / name
    plain().save_weights(path) if name.endswith(".weights.h5") else plain().save(path)
    with h5py.File(path, "r+") as file:
        edit(file)
    expected[name] = reason


def change_config(name, reason, edit):
    def apply(file):
        config = json.loads(file.attrs["model_config"])
        edit(config["config"]["layers"], config["config"])
        file.attrs["model_config"] = json.dumps(config)
    change(name, reason, apply)


def change_archive(name, reason, edit, compression=zipfile.ZIP_DEFLATED):
    """The entries of the plain model's .keras file, changed and packed again."""
    path = OUT / name
    plain().save(path)
    with zipfile.ZipFile(path) as archive:
        entries = {entry: archive.read(entry) for entry in archive.namelist()}
    edit(entries)
    with zipfile.ZipFile(path, "w", compression) as archive:
        for entry, content in entries.items():
            archive.writestr(entry, content)
    expected[name] = reason


KERNEL, CONV = "model_weights/conv/conv/kernel", "model_weights/conv/conv"
VARIANCE = "model_weights/norm/norm/moving_variance"


def replace(file, path, **how):
    shape = file[path].shape
    del file[path]
    return file.create_dataset(path, shape, **how)


def external_link(file):
    del file[KERNEL]
    file[KERNEL] = h5py.ExternalLink("elsewhere.h5", "/x")


def soft_link(file):
    del file[KERNEL]
    file[KERNEL] = h5py.SoftLink("/model_weights/norm/norm/gamma")


def virtual(file):
    shape = file[KERNEL].shape
    del file[KERNEL]
    layout = h5py.VirtualLayout(shape, "f4")
    layout[...] = h5py.VirtualSource("elsewhere.h5", "x", shape)
    file.create_virtual_dataset(KERNEL, layout)


def lzf(file):
    replace(file, KERNEL, dtype="f4", data=np.ones(file[KERNEL].shape, "f4"), compression="lzf", chunks=True)


def value(path, number):
    def apply(file):
        file[path][...] = number
    return apply


def share_weights(file):
    file["layers/again"] = file["layers"]


def share_layer(file):
    weights = file["model_weights"]
    del weights["pool"]
    weights["pool"] = weights["conv"]


def retype(dtype):
    return lambda file: replace(file, KERNEL, dtype=dtype, data=file[KERNEL][()].astype(dtype))


def list_twice(file):
    attributes = file["model_weights/conv"].attrs
    attributes["weight_names"] = [*attributes["weight_names"], "conv/bias"]


def list_unknown(file):
    attributes = file["model_weights"].attrs
    attributes["layer_names"] = [*attributes["layer_names"], "gone"]


def no_weights_listed(file):
    del file["model_weights/pool"]


change("external_link.h5", "is a link to another place or file", external_link)
change("soft_link.h5", "is a link to another place or file", soft_link)
change("external_data.h5", "keeps its data in another file",
       lambda f: replace(f, KERNEL, dtype="f4", external=[("elsewhere.bin", 0, h5py.h5f.UNLIMITED)]))
change("virtual.h5", "is a virtual dataset", virtual)
change("user_filter.h5", "HDF5 filter 32000", lzf)
change("unwritten.h5", "the file holds 0 bytes", lambda f: replace(f, KERNEL, dtype="f4"))
change("missing_dataset.h5", "the dataset is missing", lambda f: f.__delitem__(KERNEL))
change("shared_layer.h5", 'pool: is the same group as "conv"', share_layer)
change("weight_twice.h5", '"conv/bias" stands twice', list_twice)
change("unknown_layer.h5", 'lists the layer "gone", which has no group', list_unknown)
change("missing_group.h5", 'lists the layer "pool", which has no group', no_weights_listed)
change("shared_groups.weights.h5", 'layers/again: is the same group as "/layers"', share_weights)
change("nan.h5", "NaN", value(KERNEL, np.nan))
change("infinite.h5", "infinite", value(KERNEL, np.inf))
change("negative_variance.h5", "running_var -1", value(VARIANCE, -1))
change("integers.h5", "weights are F32, F16, BF16 or F64", lambda f: replace(f, KERNEL, dtype="i4", data=np.ones(f[KERNEL].shape)))
for kind, dtype, reason in (("big_endian", ">f4", "holds big-endian floats, which are not read"),
                            ("complex", "c8", "holds compound values such as complex numbers"),
                            ("truth", "?", "holds truth values or another enumeration")):
    change(f"{kind}.h5", reason, retype(dtype))
change("no_layer_list.h5", "without the weights of a Keras model", lambda f: f["model_weights"].attrs.__delitem__("layer_names"))
change("number_for_text.h5", "is no text", lambda f: f.attrs.__setitem__("model_config", 7))
change("config_array.h5", "is no JSON object, so it describes no Keras model",
       lambda f: f.attrs.__setitem__("model_config", "[1, 2]"))

save("two_outputs.h5", network([], outputs=2), "has 2 outputs (head0, head1)")
save("group_norm.h5", network([L.GroupNormalization(3, name="norm")]), '"norm": is of the class GroupNormalization')
save("activation.h5", network([L.Conv2D(2, 3, activation="gelu", name="conv")]), 'the activation "gelu"')
save("lambda.h5", network([L.Lambda(lambda x: x * 2, name="twice")]), '"twice": is a Lambda layer')
save("batch_norm_axis.h5", network([L.BatchNormalization(axis=1, name="norm")]), "acts on axis 1")
save("max_value.h5", network([L.ReLU(max_value=3.0, name="limit")]), "max_value 3")
save("concatenate.h5", network([lambda x: L.Concatenate(name="both")([x, x])]), "is a Concatenate of 2 values")


class Doubling(L.Conv2D):
    def call(self, x):
        return 2 * super().call(x)


class Negating(keras.Model):
    def call(self, x):
        return -super().call(x)


OwnConv2D = type("Conv2D", (Doubling,), {})
save("own_layer.keras", network([OwnConv2D(2, 3, name="conv")]), "is of the class Conv2D of your own")
inner = network([])
save("own_model.keras", Negating(inner.inputs, inner.outputs), "is of the class Negating of your own")
save("softmax_axis.keras", network([lambda x: keras.ops.softmax(x, axis=1)]), "acts on axis 1")


def channels_first(layers, _):
    layers[1]["config"]["data_format"] = "channels_first"


def cycle(layers, _):
    first = layers[1]["inbound_nodes"][0]["args"][0]["config"]["keras_history"]
    first[0] = "norm"


def unknown_source(layers, _):
    layers[1]["inbound_nodes"][0]["args"][0]["config"]["keras_history"][0] = "nowhere"


def same_name(layers, _):
    layers.append(layers[1])


def more_filters(layers, _):
    layers[1]["config"]["filters"] = 4


change_config("channels_first.h5", "data_format channels_first", channels_first)
change_config("cycle.h5", "is part of a cycle", cycle)
change_config("unknown_source.h5", 'call 0 of layer "nowhere"', unknown_source)
change_config("same_name.h5", 'two layers are named "conv"', same_name)
change_config("more_filters.h5", "conv/kernel is 2x3x3x3, expected 4x3x3x3", more_filters)
change_config("huge_filters.h5", "layer 'conv': weight", lambda layers, _: layers[1]["config"].__setitem__("filters", 2**40))
change_config("no_layers.h5", "it is a subclassed model", lambda layers, config: config.pop("layers"))

def swell(entry, size):
    return lambda entries: entries.__setitem__(entry, entries[entry].ljust(size))


def empty(entries):
    entries["metadata.json"] = b""


def listed(entries):
    entries["config.json"] = b"[]"


change_archive("bzip2.keras", "zip method 12, only 8 (deflate)", lambda entries: None, zipfile.ZIP_BZIP2)
change_archive("large_config.keras", 'entry "config.json" has 15728640 bytes', swell("config.json", 15 << 20))
change_archive("swollen_metadata.keras", 'entry "metadata.json" has 1048576 bytes', swell("metadata.json", 1 << 20))
change_archive("config_list.keras", "config.json: is no JSON object", listed)
change_archive("empty_metadata.keras", "metadata.json: malformed JSON at byte 0; save", empty)

(OUT / "expected.txt").write_text("".join(f"{name}\t{reason}\n" for name, reason in expected.items()))
