"""What the scripts that make golden networks share: settled weights, and the files that a test reads."""

import numpy as np
import torch
from safetensors.torch import save_file


def settle(net, size=32):
    """Weights and statistics in which every factor counts: no gamma is 1, no beta or mean 0, no variance 1."""
    for module in net.modules():
        if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)):
            torch.nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                torch.nn.init.uniform_(module.bias, -0.3, 0.3)
        if isinstance(module, torch.nn.Conv1d):
            torch.nn.init.uniform_(module.weight, -1.0, 1.5)
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -0.3, 0.3)
    net.train()
    with torch.no_grad():
        for _ in range(20):
            net(torch.randn(8, 3, size, size) * 1.5 + 0.2)
    return net.eval()


def save_half(path, net):
    """Rounds the network to float16 and saves it so: half the bytes, and the logits stay those of the file."""
    with torch.no_grad():
        for value in net.state_dict().values():
            if value.is_floating_point():
                value.copy_(value.half())
    save_file({k: v.half() if v.is_floating_point() else v for k, v in net.state_dict().items()}, path)


def logits(net, x):
    with torch.no_grad():
        y = net(x)
    return y.logits if hasattr(y, "logits") else y


def save_logits(path, net, x):
    np.save(path, logits(net, x).numpy())
