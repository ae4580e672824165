"""The same training step in PyTorch, for comparison: same networks, losses and updates."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional


class Generator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(100, 4 * 4 * 512)
        widths = [512, 256, 128, 64]
        self.norms = nn.ModuleList(nn.BatchNorm2d(w, eps=1e-5, momentum=0.1) for w in widths)
        self.convs = nn.ModuleList(
            nn.ConvTranspose2d(i, o, 5, 2, padding=2, output_padding=1, bias=o == 3)
            for i, o in zip(widths, [*widths[1:], 3], strict=True)
        )

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        h = self.linear(z).view(-1, 512, 4, 4).to(memory_format=torch.channels_last)
        for norm, conv in zip(self.norms, self.convs, strict=True):
            h = conv(functional.relu(norm(h)))
        return torch.tanh(h)


class Discriminator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        widths = [64, 128, 256, 512]
        self.norms = nn.ModuleList(nn.BatchNorm2d(w, eps=1e-5, momentum=0.1) for w in widths[1:])
        self.convs = nn.ModuleList(
            nn.Conv2d(i, o, 5, 2, padding=2, bias=i == 3)
            for i, o in zip([3, *widths], widths, strict=False)
        )
        self.linear = nn.Linear(4 * 4 * 512, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        h = functional.leaky_relu(self.convs[0](images), 0.2)
        for norm, conv in zip(self.norms, self.convs[1:], strict=True):
            h = functional.leaky_relu(norm(conv(h)), 0.2)
        return self.linear(h.flatten(1))[:, 0]


def make_step(dtype: str, batch_size: int, images: np.ndarray) -> Callable[[], float]:
    """D once, G twice, G's first pass shared; autocast for bfloat16; channels last."""
    torch.manual_seed(0)
    g = Generator().to(memory_format=torch.channels_last)
    d = Discriminator().to(memory_format=torch.channels_last)
    for parameter in (*g.parameters(), *d.parameters()):
        if parameter.dim() > 1:
            nn.init.normal_(parameter, 0, 0.02)
    g_adam = torch.optim.Adam(g.parameters(), 2e-4, betas=(0.5, 0.999))
    d_adam = torch.optim.Adam(d.parameters(), 2e-4, betas=(0.5, 0.999))
    real = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1
    real = real.to(memory_format=torch.channels_last)

    def autocast() -> torch.autocast:
        return torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16")

    def step() -> float:
        z = torch.rand(batch_size, 100) * 2 - 1
        with autocast():
            fake = g(z)
            real_logits, fake_logits = d(real), d(fake.detach())
        loss = functional.softplus(-real_logits.float()).mean()
        loss = loss + functional.softplus(fake_logits.float()).mean()
        d_adam.zero_grad()
        loss.backward()
        d_adam.step()
        d.requires_grad_(False)  # G's updates need no gradient of D's weights
        for update in range(2):
            with autocast():
                logits = d(g(z) if update else fake)
            g_loss = functional.softplus(-logits.float()).mean()
            g_adam.zero_grad()
            g_loss.backward()
            g_adam.step()
        d.requires_grad_(True)
        return g_loss.item()

    return step
