"""What the figures have to reach, and whether they do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

PEERS: Final = ("agno", "pydantic-ai", "openai-agents", "langgraph", "google-adk", "strands")
AHEAD: Final = {"S1": 3.0, "S2": 4.0, "S3 in memory": 5.0, "S3 on disk": 5.0}
"""How many times faster than the fastest peer a turn of ours has to be."""
FLAT_COUNTS: Final = 1.1
FLAT_TIME: Final = 1.4


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """
    One thing to reach.

    Attributes:
        name: What's compared.
        wanted: The bound; *most* says on which side of it is good.
    """

    name: str
    wanted: float
    found: float
    most: bool = True

    @property
    def met(self) -> bool:
        """Whether it's reached."""
        return self.found <= self.wanted if self.most else self.found >= self.wanted

    def to_json(self) -> dict[str, Any]:
        """Return the target for the report."""
        bound = "at most" if self.most else "at least"
        return {
            "name": self.name,
            "wanted": f"{bound} {self.wanted:g}",
            "found": round(self.found, 2),
            "met": self.met,
        }


def fastest_peer(scenario: dict[str, Any]) -> tuple[float, str] | None:
    """Return how many times our turn the fastest peer's is, and that peer's name."""
    ratios = [
        (float(figures["ratios"]["lash-sdk"]["wall"]["median"]), name)
        for name, figures in scenario.items()
        if name in PEERS
    ]
    return min(ratios, default=None)


def judge(report: dict[str, Any]) -> list[Target]:
    """Return every target that the report has figures for."""
    found = _ahead(report["turns"])
    found += _flat(report["growth"], report["instructions"])
    if hooks := report["hooks"]:
        found += _hooks({name: each["median"] for name, each in hooks.items()})
    if starts := report["starts"]:
        loaded = starts["import lash_sdk"]["forbidden"]
        name = "pydantic and plugins that `import lash_sdk` loads"
        found.append(Target(name=name, wanted=0, found=len(loaded)))
    return found


def _ahead(turns: dict[str, Any]) -> list[Target]:
    found = []
    for label, scenario in turns.items():
        if (fastest := fastest_peer(scenario)) is not None:
            ratio, peer = fastest
            name = f"{label}: times faster than {peer}, the fastest peer"
            found.append(Target(name=name, wanted=AHEAD[label], found=ratio, most=False))
    return found


def _flat(growth: dict[str, Any], instructions: dict[str, float]) -> list[Target]:
    found = []
    for name, lengths in growth.items():
        short, *_, long = lengths
        before, after = lengths[short], lengths[long]
        what = f"S4 {name}: turn {long} by turn {short}"
        for unit, most in (("bytecodes", FLAT_COUNTS), ("wall", FLAT_TIME)):
            ratio = after[unit] / before[unit]
            found.append(Target(name=f"{what}, {unit}", wanted=most, found=ratio))
    if instructions:
        short, *_, long = instructions
        ratio = instructions[long] / instructions[short]
        what = f"S4 in memory: turn {long} by turn {short}, instructions"
        found.append(Target(name=what, wanted=FLAT_COUNTS, found=ratio))
    return found


def _hooks(ns: dict[str, float]) -> list[Target]:
    def most(name: str, ours: str, other: str, wanted: float) -> Target:
        return Target(name=f"hooks: {name}", wanted=wanted, found=ns[ours] / ns[other])

    def least(name: str, ours: str, other: str, wanted: float) -> Target:
        found = ns[other] / ns[ours]
        return Target(name=f"hooks: {name}", wanted=wanted, found=found, most=False)

    return [
        most("async collect by unrolled awaits", "our_async", "unrolled_awaits", 2),
        most("sync collect by direct calls", "our_sync", "direct_calls", 4),
        least("no impl, times faster than pluggy", "our_nobody", "pluggy_nobody", 6),
        least("sync collect, times faster than pluggy", "our_sync", "pluggy_sync", 4),
        least("async collect, times faster than pluggy", "our_async", "pluggy_awaited", 4),
        least("async collect, times faster than apluggy", "our_async", "apluggy_async", 10),
    ]
