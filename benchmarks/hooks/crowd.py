"""A folder of 300 installed distributions, 20 of them plugins of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Final

DISTRIBUTIONS: Final = 300
PLUGINS: Final = 20

MODULE: Final = '''\
"""A tiny plugin, with a tool and a gate."""

from pydantic import BaseModel, ConfigDict

from lash_sdk import Plugin, hooks, tool
from lash_sdk.contexts import SessionContext, ToolContext
from lash_sdk.hooks import Decision
from lash_sdk.tools import Tool


class Kept(BaseModel):
    model_config = ConfigDict(frozen=True)

    calls: int = 0


@tool(name="crowd{at}_echo", on_recovery="rerun")
async def echo(text: str) -> str:
    """Say it again."""
    return text


class Crowd(Plugin):
    name = "crowd{at}"
    State = Kept

    @hooks.provide_tools
    def tools(self, ctx: SessionContext) -> list[Tool]:
        return [echo]

    @hooks.decide_tool
    async def guard(self, ctx: ToolContext) -> Decision | None:
        return None
'''


def lay(site: Path) -> Path:
    """Lay the distributions down in *site*, as an installer would; return it."""
    site.mkdir(parents=True, exist_ok=True)
    for at in range(DISTRIBUTIONS):
        if at < PLUGINS:
            needs, points = "lash-sdk>=0.1.0.dev0", f"[lash]\ncrowd{at} = lash_crowd{at}:Crowd\n"
            (site / f"lash_crowd{at}.py").write_text(MODULE.replace("{at}", str(at)))
        else:
            needs, points = "requests>=2", f"[console_scripts]\ncrowd{at} = crowd{at}:main\n"
        kind = "lash-crowd" if at < PLUGINS else "crowd"
        about = site / f"{kind.replace('-', '_')}{at}-1.0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {kind}{at}\nVersion: 1.0\n"
            f"Summary: Number {at} of a crowd.\nRequires-Dist: {needs}\n"
        )
        (about / "RECORD").write_text("")
        if at < PLUGINS or at % 3 == 0:  # most packages have no entry point
            (about / "entry_points.txt").write_text(points)
    return site
