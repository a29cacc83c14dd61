"""Reads lines `ours SHAPE THREADS SPEED` and `peer SHAPE THREADS EAGER FUSED` and prints ratios as a Markdown table.

A ratio is our speed by the better of PyTorch's two, both from the same round.
"""

import statistics
import sys


def main():
    ours, peers = {}, {}
    for line in sys.stdin:
        who, shape, threads, *speeds = line.split()
        table = ours if who == "ours" else peers
        table.setdefault((shape, int(threads)), []).append([float(speed) for speed in speeds])
    print("| inputs x width x layers @ batch | threads | ours, samples/s | PyTorch eager | fused AdamW | ratio: lowest | median |")
    print("|---|---|---|---|---|---|---|")
    for key, rounds in ours.items():
        pairs = list(zip(rounds, peers[key], strict=True))
        ratios = [mine[0] / max(theirs) for mine, theirs in pairs]
        middle = [statistics.median(column) for column in zip(*(mine + theirs for mine, theirs in pairs))]
        cells = [key[0], key[1], *(f"{speed:,.0f}" for speed in middle), f"{min(ratios):.2f}", f"{statistics.median(ratios):.2f}"]
        print("|", " | ".join(map(str, cells)), "|")


main()
