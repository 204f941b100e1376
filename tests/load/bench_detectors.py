"""``make bench-detectors``: recall and false flags of the misuse detectors on logs with planted misuse, per detector.

Seeds 1 to 12 were used while detectors and thresholds were made, 101 to 106 were looked at once before the last change; what is printed
by default comes from seeds 201 on. Generator and detectors have the same authors: on a real log the numbers will differ.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

from services.audit.misuse.panel import NAMES, Panel
from tests.common.searchlog import generate

# Members and days: a small town, the size of the first customer, a large city.
DEPARTMENTS = ((18, 180), (60, 120), (150, 90))


@dataclass(slots=True)
class Counts:
    """Planted, found and false flags by detector; planted and found by pattern."""

    planted: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    false: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    kinds_found: Counter[str] = field(default_factory=Counter)
    looks: int = 0
    seconds: float = 0.0

    def add(self, other: Counts) -> None:
        """Add what another measurement counted."""
        for name in ("planted", "found", "false", "kinds", "kinds_found"):
            getattr(self, name).update(getattr(other, name))
        self.looks += other.looks
        self.seconds += other.seconds


def measure(seeds: range, *, officers: int = 60, days: int = 120, show: bool = False) -> Counts:
    """Count over several logs.

    Found is a plant of which a flag of its own detector consists by half or more; a false flag is one of which less than half is any
    plant's. A flag by another detector than the one that was meant is neither.
    """
    counts = Counts()
    for seed in seeds:
        log = generate(seed, officers=officers, days=days)
        panel, started = (
            Panel(protected={p.encode() for p in log.protected}, digest=str.encode),
            time.perf_counter(),
        )
        flags = [flag for look in log.looks for flag in panel.see(look)]
        counts.seconds += time.perf_counter() - started
        counts.looks += len(log.looks)
        guilty = {i for plant in log.plants for i in plant.indexes}
        for plant in log.plants:
            hit = any(
                f.detector == plant.detector and 2 * len(plant.indexes & set(f.indexes)) >= len(f.indexes)
                for f in flags
            )
            counts.planted[plant.detector] += 1
            counts.kinds[f"{plant.detector}: {plant.kind}"] += 1
            counts.found[plant.detector] += hit
            counts.kinds_found[f"{plant.detector}: {plant.kind}"] += hit
            if show and not hit:
                print("MISSED", seed, plant.detector, plant.kind, len(plant.indexes))
        for flag in flags:
            if len(guilty & set(flag.indexes)) * 2 < len(flag.indexes):
                counts.false[flag.detector] += 1
                if show:
                    print("FALSE", seed, flag.detector, flag.explanation)
    return counts


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=201)
    parser.add_argument("--seeds", type=int, default=10, help="logs of each size of department")
    parser.add_argument("--show", action="store_true", help="print each miss and each false flag")
    given = parser.parse_args()
    total = Counts()
    for officers, days in DEPARTMENTS:
        counts = measure(
            range(given.first, given.first + given.seeds), officers=officers, days=days, show=given.show
        )
        total.add(counts)
        wrong = 1000 * counts.false.total() / counts.looks
        print(f"{given.seeds} logs of {days} days, {officers:3} members: {counts.looks:7,} looks, "
              f"recall {counts.found.total() / counts.planted.total():.3f}, {wrong:.3f} false flags per 1,000 looks")  # fmt: skip
    print(
        f"seeds {given.first} to {given.first + given.seeds - 1}; {total.looks / total.seconds:,.0f} looks a second through all detectors\n"
    )
    print(f"{'detector':20}{'planted':>8}{'found':>7}{'recall':>8}{'false flags':>13}{'per 1,000':>11}")
    for name in (*NAMES, "all"):
        planted, found, false = (
            c.total() if name == "all" else c[name] for c in (total.planted, total.found, total.false)
        )
        print(
            f"{name:20}{planted:8}{found:7}{found / planted:8.2f}{false:13}{1000 * false / total.looks:11.3f}"
        )
    print("\npattern, as planted" + " " * 31 + "planted  found")
    for kind, planted in sorted(total.kinds.items()):
        print(f"  {kind:48}{planted:7}{total.kinds_found[kind]:7}")
    good = all(
        total.found[n] >= 0.9 * total.planted[n] and 1000 * total.false[n] <= total.looks for n in NAMES
    )
    print(
        f"\nbars (recall 0.9, 1 false flag per 1,000 looks, each detector and all): {'met' if good else 'MISSED'}"
    )
    return 0 if good and 1000 * total.false.total() <= total.looks else 1


if __name__ == "__main__":
    sys.exit(main())
