"""The same network for every engine: a torchvision ResNet as state dict and as ONNX, its input and PyTorch's output.

Weights are seeded, not trained: time does not depend on their values. Batch-norm statistics are drawn so that activations
keep their size through the depth and every term of the batch-norm matters for the comparison of outputs.
"""

import numpy as np
import torch
import torchvision


def seeded_network(name):
    torch.manual_seed(0)
    network = getattr(torchvision.models, name)(weights=None).eval()
    for path, module in network.named_modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            last_of_block = path.endswith("bn3") or (path.endswith("bn2") and name in ("resnet18", "resnet34"))
            module.weight.data.uniform_(0.5, 1.2).mul_(0.4 if last_of_block else 1.0)
            module.bias.data.uniform_(-0.2, 0.2)
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.6, 1.6)
    return network


def make(name, folder, batch):
    """Writes NAME.pth, NAME.onnx, input.f32 (batch x 3 x 224 x 224) and NAME.reference.f32 unless they exist."""
    done = folder / f"{name}.done"
    if done.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    network = seeded_network(name)
    torch.save(network.state_dict(), folder / f"{name}.pth")
    x = torch.randn(batch, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    torch.onnx.export(network, (x[:1],), folder / f"{name}.onnx", input_names=["x"], output_names=["y"],
                      dynamic_axes={"x": {0: "n"}, "y": {0: "n"}}, dynamo=False, opset_version=17)
    x.numpy().tofile(folder / "input.f32")
    with torch.no_grad():
        # In double: the yardstick must be better than what it measures.
        network.double()(x.double()).float().numpy().tofile(folder / f"{name}.reference.f32")
    done.touch()


def make_photo(path, width, height):
    """A seeded picture with the statistics of a photo: smooth areas, edges and some grain."""
    from PIL import Image

    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    picture = np.zeros((height, width, 3), np.float32)
    for cells, weight in ((4, 110), (16, 70), (64, 40), (256, 20)):
        coarse = random.random((max(cells * height // width, 2), cells, 3), np.float32)
        layer = Image.fromarray((coarse * 255).astype(np.uint8)).resize((width, height), Image.Resampling.BICUBIC)
        picture += np.asarray(layer, np.float32) * (weight / 255)
    picture += random.normal(0, 4, picture.shape).astype(np.float32)
    Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(path, quality=90)
