"""Time of PyTorch's training steps on the CPU, the same steps as forecast_step.rs, and epochs as users run them.

python forecast_step.py THREADS [CSV]
Prints `name THREADS microseconds` for forward, loss and backward of one batch (median), and with ETTh1.csv
`name THREADS epoch windows_per_second` for an epoch with a DataLoader over windows, AdamW and the same step.
"""

import sys
import time

import numpy as np
import torch
from torch import nn

WINDOWS, TARGETS, LOOKBACK, HORIZON = 32, 7, 336, 96


class DLinear(nn.Module):
    def __init__(self, steps=25):
        super().__init__()
        self.beyond = (steps - 1) // 2
        self.average = nn.AvgPool1d(steps, stride=1)
        self.rest, self.trend = nn.Linear(LOOKBACK, HORIZON), nn.Linear(LOOKBACK, HORIZON)

    def forward(self, x):  # [B, L, T]
        ends = x[:, :1].repeat(1, self.beyond, 1), x[:, -1:].repeat(1, self.beyond, 1)
        trend = self.average(torch.cat([ends[0], x, ends[1]], 1).permute(0, 2, 1)).permute(0, 2, 1)
        rest, trend = (x - trend).permute(0, 2, 1), trend.permute(0, 2, 1)
        return (self.rest(rest) + self.trend(trend)).permute(0, 2, 1)


class RevIN(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(TARGETS)), nn.Parameter(torch.zeros(TARGETS))

    def normalise(self, x):
        self.mean = x.mean(1, keepdim=True).detach()
        self.deviation = torch.sqrt(x.var(1, keepdim=True, unbiased=False) + 1e-5).detach()
        return (x - self.mean) / self.deviation * self.weight + self.bias

    def restore(self, x):
        return (x - self.bias) / (self.weight + 1e-10) * self.deviation + self.mean


class Normalised(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.revin, self.net = RevIN(), net

    def forward(self, x):
        return self.revin.restore(self.net(self.revin.normalise(x).permute(0, 2, 1)).permute(0, 2, 1))


class NLinear(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(LOOKBACK, HORIZON)

    def forward(self, x):
        last = x[:, -1:].detach()
        return self.linear((x - last).permute(0, 2, 1)).permute(0, 2, 1) + last


def mlp():
    return Normalised(nn.Sequential(nn.Linear(LOOKBACK, 512), nn.ReLU(), nn.Dropout(0.3), nn.Linear(512, HORIZON)))


MODELS = {"nlinear": NLinear, "dlinear": DLinear, "rlinear": lambda: Normalised(nn.Linear(LOOKBACK, HORIZON)), "mlp": mlp}


class Windows(torch.utils.data.Dataset):
    def __init__(self, path):
        rows = np.genfromtxt(path, delimiter=",", skip_header=1, usecols=range(1, 8), max_rows=8640)
        self.data = (rows - rows.mean(0)) / rows.std(0)

    def __len__(self):
        return len(self.data) - LOOKBACK - HORIZON + 1

    def __getitem__(self, i):
        return self.data[i : i + LOOKBACK], self.data[i + LOOKBACK : i + LOOKBACK + HORIZON]


def step_microseconds(model, steps=400):
    x, y = torch.rand(WINDOWS, LOOKBACK, TARGETS) * 2 - 1, torch.rand(WINDOWS, HORIZON, TARGETS) * 2 - 1
    loss_function, times = nn.MSELoss(), []
    for _ in range(steps):
        start = time.perf_counter()
        model.zero_grad()
        loss_function(model(x), y).backward()
        times.append(time.perf_counter() - start)
    return sorted(times)[steps // 2] * 1e6


def epoch_windows_per_second(model, path):
    data = Windows(path)
    loader = torch.utils.data.DataLoader(data, batch_size=WINDOWS, shuffle=True)
    optimizer, loss_function = torch.optim.AdamW(model.parameters(), lr=5e-4), nn.MSELoss()
    start = time.perf_counter()
    for x, y in loader:
        optimizer.zero_grad()
        loss = loss_function(model(x.float()), y.float())
        loss.backward()
        optimizer.step()
        loss.item()
    return len(data) / (time.perf_counter() - start)


def main():
    threads = int(sys.argv[1])
    torch.set_num_threads(threads)
    for name, make in MODELS.items():
        torch.manual_seed(0)
        print(name, threads, f"{step_microseconds(make()):.0f}")
        for path in sys.argv[2:]:
            print(name, threads, f"epoch {epoch_windows_per_second(make(), path):.0f}")


main()
