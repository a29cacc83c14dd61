"""One epoch of a forecaster in PyTorch on the CPU: windows per second, as `train_ts_mlp` does the same epoch.

python forecast_peer.py DATA_DIR KIND THREADS EPOCHS      prints: peer KIND THREADS LOADER OPTIMIZER WINDOWS_PER_SECOND
KIND is dlinear or mlp. LOADER: `dataloader` is a Dataset in a DataLoader, as the papers' code and most users have it;
`indexed` gathers each batch with one tensor index, the fastest plain way. Median over the epochs; the first is left out.
"""

import csv
import statistics
import sys
import time

import torch
from torch import nn

LOOKBACK, HORIZON, BATCH, TRAIN_ROWS = 336, 96, 32, 8640


class Windows(torch.utils.data.Dataset):
    def __init__(self, values):
        self.values = values

    def __len__(self):
        return len(self.values) - LOOKBACK - HORIZON + 1

    def __getitem__(self, i):
        return self.values[i : i + LOOKBACK], self.values[i + LOOKBACK : i + LOOKBACK + HORIZON]


class DLinear(nn.Module):
    """As in the papers' code: a moving average with repeated ends, one linear map for it and one for the rest."""

    def __init__(self, kernel=25):
        super().__init__()
        self.average = nn.AvgPool1d(kernel, stride=1)
        self.half = (kernel - 1) // 2
        self.seasonal, self.trend = nn.Linear(LOOKBACK, HORIZON), nn.Linear(LOOKBACK, HORIZON)

    def forward(self, x):  # [batch, lookback, channels]
        front, end = x[:, :1].repeat(1, self.half, 1), x[:, -1:].repeat(1, self.half, 1)
        trend = self.average(torch.cat([front, x, end], dim=1).permute(0, 2, 1))
        seasonal = x.permute(0, 2, 1) - trend
        return (self.seasonal(seasonal) + self.trend(trend)).permute(0, 2, 1)


class Mlp(nn.Module):
    """336-512-96 with instance normalisation, as in the configuration beside this file."""

    def __init__(self, channels=7):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(LOOKBACK, 512), nn.ReLU(), nn.Dropout(0.3), nn.Linear(512, HORIZON)
        )
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x):
        mean = x.mean(dim=1, keepdim=True).detach()
        deviation = torch.sqrt(x.var(dim=1, keepdim=True, unbiased=False) + 1e-5).detach()
        x = (x - mean) / deviation * self.weight + self.bias
        out = self.net(x.permute(0, 2, 1)).permute(0, 2, 1)
        return (out - self.bias) / (self.weight + 1e-10) * deviation + mean


def batches(values, loader):
    n = len(values) - LOOKBACK - HORIZON + 1
    if loader == "dataloader":
        yield from torch.utils.data.DataLoader(Windows(values), batch_size=BATCH, shuffle=True)
        return
    windows = values.unfold(0, LOOKBACK + HORIZON, 1).permute(0, 2, 1)  # a view, [n, lookback + horizon, channels]
    for rows in torch.randperm(n).split(BATCH):
        batch = windows[rows]
        yield batch[:, :LOOKBACK], batch[:, LOOKBACK:]


def speed(values, kind, epochs, loader, fused):
    torch.manual_seed(0)
    model = {"dlinear": DLinear, "mlp": Mlp}[kind]()
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-2, fused=fused)
    n, speeds = len(values) - LOOKBACK - HORIZON + 1, []
    for _ in range(epochs + 1):
        start = time.perf_counter()
        for past, future in batches(values, loader):
            loss = nn.functional.mse_loss(model(past), future)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss.item()  # as our loop does, to notice a diverging loss
        speeds.append(n / (time.perf_counter() - start))
    return statistics.median(speeds[1:])


def main():
    data_dir, kind, threads, epochs = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    torch.set_num_threads(threads)
    with open(f"{data_dir}/ETTh1.csv") as file:
        rows = list(csv.reader(file))[1 : TRAIN_ROWS + 1]
    values = torch.tensor([[float(cell) for cell in row[1:]] for row in rows])
    values = (values - values.mean(0)) / values.std(0, unbiased=False)
    for loader in ("dataloader", "indexed"):
        for fused in (False, True):
            found = speed(values, kind, epochs, loader, fused)
            print("peer", kind, threads, loader, "fused" if fused else "eager", f"{found:.0f}", flush=True)


main()
