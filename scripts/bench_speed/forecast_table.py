"""Reads lines `ours|peer KIND THREADS LOADER OPTIMIZER WINDOWS_PER_SECOND`, prints a Markdown table.

The ratio is our speed by the better of PyTorch's two optimizers from the same round, for each way to make batches: lowest
and median over the rounds.
"""

import statistics
import sys


def main():
    rounds = {}
    for line in sys.stdin:
        who, kind, threads, loader, _, speed = line.split()
        of_key = rounds.setdefault((kind, int(threads)), [])
        if who == "ours":
            of_key.append({"ours": float(speed)})
        else:
            of_key[-1][loader] = max(of_key[-1].get(loader, 0.0), float(speed))
    print("| network | threads | ours, windows/s | PyTorch, DataLoader | PyTorch, indexed | by DataLoader | by indexed |")
    print("|---|---|---|---|---|---|---|")
    for (kind, threads), found in rounds.items():
        cells = [f"{statistics.median(one[name] for one in found):,.0f}" for name in ("ours", "dataloader", "indexed")]
        for loader in ("dataloader", "indexed"):
            ratios = [one["ours"] / one[loader] for one in found]
            cells.append(f"{min(ratios):.2f}, {statistics.median(ratios):.2f}")
        print("|", " | ".join([kind, str(threads), *cells]), "|")


main()
