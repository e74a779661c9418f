"""What the figures have to reach, and whether they do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

PEERS: Final = ("agno", "pydantic-ai", "openai-agents", "langgraph", "google-adk", "strands")
AHEAD: Final = {
    "S1": 3.0,
    "S2": 4.0,
    "S3 in memory": 6.0,
    "S3 on disk": 6.0,
    "S3 effect in memory": 3.0,
    "S3 effect on disk": 3.0,
}
"""How many times faster than the fastest peer a turn of ours has to be."""
BY_BARE: Final = {"S1": 16.0, "S2": 5.0, "S3 in memory": 2.5, "S3 effect in memory": 4.0}
"""How many times a turn of the bare loop one of ours may take."""
BY_FIRST: Final = {
    "S8": {"1 plugin": 1.35, "20 plugins": 2.2},
    "S10": {"an observer": 1.15},
    "S11 on disk": {"1,000 turns, forked in the store": 2.0, "1,000 turns, forked and opened": 2.0},
}
"""How many times the first of its group a variant may take."""
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
    found = _ahead(report["turns"]) + _by_bare(report["turns"])
    found += _opened(report["opening"]) + _crowded(report["crowds"])
    found += _varied(report["variants"])
    found += _on_postgres(report["postgres"]) + _grown(report["peers"])
    found += _flat(report["growth"], report["instructions"])
    if hooks := report["hooks"]:
        found += _hooks({name: each["median"] for name, each in hooks.items()})
    if starts := report["starts"]:
        loaded = starts["import lash_sdk"]["forbidden"]
        name = "pydantic and plugins that `import lash_sdk` loads"
        found.append(Target(name=name, wanted=0, found=len(loaded)))
        found += _started(starts)
    return found


def _by_bare(turns: dict[str, Any]) -> list[Target]:
    return [
        Target(
            name=f"{label}: ours by bare",
            wanted=BY_BARE[label],
            found=scenario["lash-sdk"]["ratios"]["bare"]["wall"]["median"],
        )
        for label, scenario in turns.items()
        if label in BY_BARE and "bare" in scenario
    ]


def _opened(opening: dict[str, Any]) -> list[Target]:
    if not opening:
        return []
    bare, ours = opening["bare"], opening["lash-sdk"]
    return [
        Target(
            name=f"S5: {what}, ours by bare",
            wanted=most,
            found=ours[unit]["median"] / bare[unit]["median"],
        )
        for what, unit, most in (("ready", "ready", 1.0), ("first turn", "first", 2.5))
    ]


def _crowded(crowds: dict[str, Any]) -> list[Target]:
    if not crowds:
        return []
    ours = crowds["lash-sdk"]
    size = Target(name="S6: KB a session", wanted=25, found=ours["bytes"] / 1024)
    found = [size]
    if rates := [(crowds[peer]["rate"], peer) for peer in PEERS if peer in crowds]:
        rate, peer = max(rates)
        name = f"S6: times the turns a second of {peer}, the fastest peer"
        found.append(Target(name=name, wanted=8, found=ours["rate"] / rate, most=False))
    for special, least in (("turn", 0.5), ("effect", 0.3)):
        found.append(
            Target(
                name=f"S6: durable ({special}) by our own rate in memory",
                wanted=least,
                found=crowds[f"lash-sdk, durable, {special}"]["rate"] / ours["rate"],
                most=False,
            )
        )
    return found


def _varied(variants: dict[str, Any]) -> list[Target]:
    found = []
    for label, group in variants.items():
        first = next(iter(group))
        for name, most in BY_FIRST.get(label, {}).items():
            ratio = group[name]["ratio"]["median"]
            found.append(Target(name=f"{label}: {name} by {first}", wanted=most, found=ratio))
    if watched := variants.get("S10"):
        left, never = watched["an observer that left"], watched["never an observer"]
        found.append(
            Target(
                name="S10: an observer that left, bytecodes",
                wanted=1.01,
                found=left["bytecodes"] / never["bytecodes"],
            )
        )
    return found


def _on_postgres(systems: dict[str, Any]) -> list[Target]:
    found = []
    if systems:
        ratio = systems["lash-sdk"]["ratios"]["bare"]["wall"]["median"]
        found.append(Target(name="S9: ours by a raw commit", wanted=2.5, found=ratio))
    for name, figures in systems.items():
        if name in PEERS:
            ratio = figures["ratios"]["lash-sdk"]["wall"]["median"]
            what = f"S9: times faster than {name}'s"
            found.append(Target(name=what, wanted=5, found=ratio, most=False))
    return found


def _grown(systems: dict[str, Any]) -> list[Target]:
    ratios = [
        (at["wall"] / systems["lash-sdk"]["wall"], name, at["turns"])
        for name, at in systems.items()
        if name in PEERS
    ]
    if not ratios:
        return []
    ratio, peer, turns = min(ratios)
    name = f"S4: times faster than {peer} at turn {turns:.0f}, the fastest peer"
    return [Target(name=name, wanted=50, found=ratio, most=False)]


def _started(starts: dict[str, Any]) -> list[Target]:
    hello = {peer: starts.get(f"hello world: {peer}") for peer in PEERS}
    found = []
    if times := [(each["median"], peer) for peer, each in hello.items() if each]:
        time, peer = min(times)
        ours = starts["hello world: lash-sdk"]["median"]
        name = f"S7: hello world by {peer}'s, the fastest peer's"
        found.append(Target(name=name, wanted=0.6, found=ours / time))
    for name, most in (("lash plugins list", 1.5), ("lash --help", 2.5)):
        if name in starts:
            ratio = starts[name]["ratio"]
            found.append(Target(name=f"S7: {name} by import asyncio", wanted=most, found=ratio))
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
        short = "200" if "200" in lengths else short
        before, after = lengths[short], lengths[long]
        what = f"S4 {name}: turn {long} by turn {short}"
        for unit, most in (("bytecodes", FLAT_COUNTS), ("wall", FLAT_TIME)):
            ratio = after[unit] / before[unit]
            found.append(Target(name=f"{what}, {unit}", wanted=most, found=ratio))
    if growth:
        *_, last = growth["durable"].values()
        found.append(Target(name="S4 durable: bytes by payload", wanted=2, found=last["times"]))
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
