"""What the scripts that make golden networks share: settled weights, and the files that a test reads."""

import json

import numpy as np
import torch


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


def logits(net, x):
    with torch.no_grad():
        y = net(x)
    return y.logits if hasattr(y, "logits") else y


def save_logits(path, net, x):
    np.save(path, logits(net, x).numpy())


def save_json(path, value):
    path.write_text(json.dumps(value, indent=1) + "\n")
