"""Reads lines `ours SHAPE THREADS WALL CPU` and `peer SHAPE THREADS EAGER EAGER_CPU FUSED FUSED_CPU`, prints a Markdown table.

A ratio is our speed by the better of PyTorch's two, both from the same round: lowest and median over the rounds, by wall
time and by processor time. On a busy machine only the second says much, and with one thread only.
"""

import statistics
import sys


def main():
    ours, peers = {}, {}
    for line in sys.stdin:
        who, shape, threads, *speeds = line.split()
        table = ours if who == "ours" else peers
        table.setdefault((shape, int(threads)), []).append([float(speed) for speed in speeds])
    print("| inputs x width x layers @ batch | threads | ours, samples/s | PyTorch eager | fused AdamW | by wall time | by CPU time |")
    print("|---|---|---|---|---|---|---|")
    for key, rounds in ours.items():
        pairs = list(zip(rounds, peers.get(key, [])))
        if not pairs:
            continue
        wall = [mine[0] / max(theirs[0], theirs[2]) for mine, theirs in pairs]
        cpu = [mine[1] / max(theirs[1], theirs[3]) for mine, theirs in pairs]
        speeds = [statistics.median(column) for column in zip(*((mine[0], theirs[0], theirs[2]) for mine, theirs in pairs))]
        ratios = [f"{min(ratio):.2f}, {statistics.median(ratio):.2f}" for ratio in (wall, cpu)]
        print("|", " | ".join(map(str, [*key, *(f"{speed:,.0f}" for speed in speeds), *ratios])), "|")


main()
