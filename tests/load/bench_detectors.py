"""``make bench-detectors``: recall and false flags of the misuse detectors on logs with planted misuse, per detector.

Seeds 1 to 5 were used while the thresholds were chosen; what is printed comes from seeds 101 on.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter

from services.audit.misuse.panel import NAMES, Panel
from tests.common.searchlog import generate


def measure(
    seeds: range, *, show: bool = False
) -> tuple[Counter[str], Counter[str], Counter[str], int, float]:
    """Return planted, found and false flags by detector, looks, and looks a second."""
    planted: Counter[str] = Counter()
    found: Counter[str] = Counter()
    false: Counter[str] = Counter()
    looks, started = 0, time.perf_counter()
    for seed in seeds:
        log = generate(seed)
        panel = Panel(protected={p.encode() for p in log.protected}, digest=str.encode)
        flags = [flag for look in log.looks for flag in panel.see(look)]
        looks += len(log.looks)
        guilty = {i for plant in log.plants for i in plant.indexes}
        for plant in log.plants:
            planted[plant.detector] += 1
            hit = any(f.detector == plant.detector and plant.indexes & set(f.indexes) for f in flags)
            found[plant.detector] += hit
            if show and not hit:
                print("MISSED", seed, plant.detector, plant.kind, len(plant.indexes))
        for flag in flags:
            if len(guilty & set(flag.indexes)) * 2 < len(flag.indexes):
                false[flag.detector] += 1
                if show:
                    print("FALSE", seed, flag.detector, flag.explanation)
    return planted, found, false, looks, looks / (time.perf_counter() - started)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=101)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--show", action="store_true", help="print each miss and each false flag")
    given = parser.parse_args()
    planted, found, false, looks, rate = measure(
        range(given.first, given.first + given.seeds), show=given.show
    )
    print(
        f"{given.seeds} logs of 120 days, 60 members: {looks:,} looks, {rate:,.0f} looks a second with generation"
    )
    print(f"{'detector':20}{'planted':>8}{'found':>7}{'recall':>8}{'false flags':>13}{'per 1,000':>11}")
    for name in NAMES:
        recall = found[name] / planted[name] if planted[name] else 0
        print(
            f"{name:20}{planted[name]:8}{found[name]:7}{recall:8.2f}{false[name]:13}{1000 * false[name] / looks:11.3f}"
        )
    recall, wrong = found.total() / planted.total(), 1000 * false.total() / looks
    print(
        f"{'all':20}{planted.total():8}{found.total():7}{recall:8.2f}{false.total():13}{wrong:11.3f}   (bars 0.9 and 1)"
    )
    return 0 if recall >= 0.9 and wrong <= 1 else 1


if __name__ == "__main__":
    sys.exit(main())
