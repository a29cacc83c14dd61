"""Samples per second of PyTorch's training steps on the CPU, the same steps as crates/app/benches/train_step.rs.

python peer.py THREADS SECONDS SHAPE        prints: SHAPE THREADS EAGER EAGER_CPU FUSED FUSED_CPU
SHAPE is COLUMNSxWIDTHxLAYERS@BATCH. EAGER and FUSED are AdamW without and with fused=True,
in samples per second of wall time and of the processor's time.
"""

import sys
import time

import torch


def speeds_of(columns, width, layers, batch, seconds, fused):
    torch.manual_seed(0)
    widths = [columns] + [width] * layers
    blocks = []
    for inputs, outputs in zip(widths, widths[1:]):
        blocks += [torch.nn.Linear(inputs, outputs), torch.nn.ReLU(), torch.nn.Dropout(0.1)]
    model = torch.nn.Sequential(*blocks, torch.nn.Linear(width, 1))
    model.train()
    loss_function = torch.nn.BCEWithLogitsLoss()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-2, fused=fused)
    rows = 4 * batch
    x = torch.rand(rows, columns) * 2 - 1
    y = (x[:, 0] + x[:, 1] > 0).float()

    def step(indices):
        output = model(x[indices])
        loss = loss_function(output.squeeze(1), y[indices])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()  # as our loop does, to notice a diverging loss

    order = torch.randperm(rows)
    for i in range(5):
        step(order[:batch])
    # Median over slices of time, as the peer does.
    speeds, start, cpu_start, all_steps = [], time.perf_counter(), time.process_time(), 0
    slice_start, steps, i = start, 0, 0
    while time.perf_counter() - start < seconds:
        step(order[i * batch : (i + 1) * batch])
        i = (i + 1) % 4
        if i == 0:
            order = torch.randperm(rows)
        steps += 1
        all_steps += 1
        if time.perf_counter() - slice_start >= seconds / 10:
            speeds.append(steps * batch / (time.perf_counter() - slice_start))
            slice_start, steps = time.perf_counter(), 0
    speeds.sort()
    return speeds[len(speeds) // 2], all_steps * batch / (time.process_time() - cpu_start)


def main():
    threads, seconds, shape = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
    torch.set_num_threads(threads)
    net, batch = shape.split("@")
    columns, width, layers = map(int, net.split("x"))
    speeds = [speed for fused in (False, True) for speed in speeds_of(columns, width, layers, int(batch), seconds, fused)]
    print(shape, threads, *(f"{speed:.0f}" for speed in speeds))


main()
