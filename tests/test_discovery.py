"""
Discovery: what's installed, read from metadata that pip would have written.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lash_sdk import Lash
from lash_sdk.errors import PluginConflict, Unavailable
from lash_sdk.hooks import Plugin
from lash_sdk.plugins.discovery import SDK_VERSION, Found, cache_folder, disabled, installed
from lash_sdk.plugins.loading import gather

from .hooking import plugin

TELLS = "import pathlib; pathlib.Path(__file__).with_suffix('.seen').touch()\n"
EXPLODES = "raise RuntimeError('imported')\n"
FINE = """
from lash_sdk import Plugin, hooks

class Made(Plugin):
    @hooks.provide_prompt
    def prompt(self, ctx):
        return []
"""


class Site:
    """A folder of installed distributions, as pip leaves them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def imported(self) -> list[str]:
        """The modules that were imported, of those that tell."""
        return sorted(path.stem for path in self.folder.glob("*.seen"))

    def install(
        self,
        name: str,
        *,
        version: str = "1.0",
        requires: str = "lash-sdk>=0.1,<1",
        entry: str | None = None,
        module: str | None = None,
        code: str = FINE,
    ) -> Path:
        """Write the distribution of a plugin; its entry point is named *entry*."""
        module = module or name.replace("-", "_")
        about = self.folder / f"{name.replace('-', '_')}-{version}.dist-info"
        about.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        lines += [f"Summary: About {name}", f"Requires-Dist: {requires}"]
        (about / "METADATA").write_text("\n".join(lines) + "\n\n")
        points = f"[lash]\n{entry or name} = {module}:Made\n"
        (about / "entry_points.txt").write_text(points)
        (self.folder / f"{module}.py").write_text(textwrap.dedent(code))
        return about


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """An empty site folder on `sys.path`, with an index of its own."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.setenv("LASH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LASH_NO_INDEX", raising=False)
    monkeypatch.delenv("LASH_DISABLE_PLUGINS", raising=False)
    monkeypatch.syspath_prepend(str(folder))
    yield Site(folder)
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(str(folder)):
            del sys.modules[name]


def found(name: str) -> Found | None:
    """Return the installed plugin of that name, if there's one."""
    return next((each for each in installed() if each.name == name), None)


def stamps(folder: Path) -> list[Path]:
    """Return the indices that were written."""
    return sorted(folder.glob("plugins-*.json"))


# --- listing ---------------------------------------------------------------------------


def test_listing_tells_everything_and_imports_nothing(site: Site) -> None:
    """
    A plugin that can't even be imported still has a row.
    """
    about = site.install("lash-boom", version="2.3", code=EXPLODES)

    assert Found(
        name="lash-boom",
        value="lash_boom:Made",
        dist="lash-boom",
        version="2.3",
        summary="About lash-boom",
        requires="<1,>=0.1",
        fits=True,
        path=str(about),
    ) == found("lash-boom")
    assert "lash_boom" not in sys.modules


def test_a_package_needs_no_summary(site: Site) -> None:
    """
    A first `pyproject.toml` has a name and a version; that mustn't break the list.
    """
    about = site.install("lash-terse")
    text = (about / "METADATA").read_text()
    (about / "METADATA").write_text(text.replace("Summary: About lash-terse\n", ""))

    terse = found("lash-terse")

    assert terse is not None
    assert ("lash-terse", "") == (terse.dist, terse.summary)


@pytest.mark.parametrize(
    ("requires", "range"),
    [
        ("lash-sdk>=0.1,<1", "<1,>=0.1"),
        ("lash_sdk (>=0.1)", ">=0.1"),
        ("lash-sdk", ""),
        ("other>=9", ""),
        ("lash-sdk-extras>=9", ""),
        ('lash-sdk>=9; extra == "new"', ""),
    ],
)
def test_the_range_is_the_one_of_the_sdk(site: Site, requires: str, range: str) -> None:
    """
    Another package's range, or an extra's, says nothing about us.
    """
    site.install("lash-boom", requires=requires)
    each = found("lash-boom")

    assert each is not None
    assert range == each.requires
    assert each.fits


def test_other_entry_points_are_not_plugins(site: Site) -> None:
    """
    A command-line tool has entry points as well.
    """
    about = site.install("lash-boom")
    (about / "entry_points.txt").write_text("[console_scripts]\nboom = lash_boom:main\n")

    assert None is found("lash-boom")


def test_a_distribution_with_unreadable_entry_points_is_passed_over(site: Site) -> None:
    """
    One broken package must not hide the others.
    """
    about = site.install("lash-boom")
    (about / "entry_points.txt").write_bytes(b"[lash]\nx = \xff\xfe\n")
    site.install("lash-fine")

    assert None is found("lash-boom")
    assert found("lash-fine") is not None


# --- the index ---------------------------------------------------------------------------


def warm(site: Site, code: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run *code* in a fresh interpreter that sees *site*."""
    path = os.pathsep.join([str(site.folder), str(Path(__file__).parent.parent)])
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": path, **env},
        capture_output=True,
        text=True,
        check=False,
    )


LIST = """
import sys
from lash_sdk.plugins.discovery import installed
names = [found.name for found in installed()]
heavy = {"importlib_metadata", "importlib.metadata", "pydantic", "pluggy", "asyncio", "lash_boom"}
print(sorted(heavy & set(sys.modules)), "lash-boom" in names)
"""


def test_a_warm_start_reads_the_index_and_loads_nothing_heavy(site: Site) -> None:
    """
    `lash --help` must not cost what reading all metadata costs.
    """
    site.install("lash-boom", code=EXPLODES)
    cold, hot = warm(site, LIST), warm(site, LIST)

    assert "['importlib_metadata'] True\n" in cold.stdout.replace("'importlib.metadata', ", "")
    assert "[] True\n" == hot.stdout, hot.stderr


def test_without_the_index_metadata_is_read_each_time(site: Site) -> None:
    """
    `LASH_NO_INDEX=1` is for whoever suspects the index.
    """
    site.install("lash-boom", code=EXPLODES)
    first = warm(site, LIST, LASH_NO_INDEX="1")
    second = warm(site, LIST, LASH_NO_INDEX="1")
    kept = warm(site, LIST, LASH_NO_INDEX="0")

    assert "importlib_metadata" in first.stdout
    assert first.stdout == second.stdout
    assert [True, True] == ["True" in done.stdout for done in (first, kept)]


def test_installing_upgrading_and_uninstalling_are_seen_at_once(site: Site) -> None:
    """
    The index is a shortcut; nobody should ever have to know of it.
    """
    seen = [found("lash-boom")]
    old = site.install("lash-boom", version="1.0")
    seen.append(found("lash-boom"))
    shutil.rmtree(old)
    new = site.install("lash-boom", version="2.0")
    seen.append(found("lash-boom"))
    shutil.rmtree(new)
    seen.append(found("lash-boom"))

    assert [None, "1.0", "2.0", None] == [each and each.version for each in seen]


@pytest.mark.parametrize("file", ["METADATA", "entry_points.txt"])
def test_an_edit_in_place_is_seen_at_once(site: Site, file: str) -> None:
    """
    An editable install rewrites its metadata where it is.
    """
    about = site.install("lash-boom")
    found("lash-boom")
    text = (about / file).read_text()
    (about / file).write_text(text.replace("boom", "bang"))
    names = {(each.name, each.dist) for each in installed()}

    edited = ("lash-boom", "lash-bang") if file == "METADATA" else ("lash-bang", "lash-boom")
    assert edited in names


def test_an_unchanged_site_is_read_from_the_index(site: Site, tmp_path: Path) -> None:
    """
    What the index says is what's told: here it's made to say something else.
    """
    site.install("lash-boom")
    found("lash-boom")
    (index,) = stamps(tmp_path / "cache")
    index.write_text(index.read_text().replace("About lash-boom", "From the index"))
    each = found("lash-boom")

    assert each is not None
    assert "From the index" == each.summary


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff\xfe", b"[]", b"null", b"{}", b'{"stamp": []}', b"[" * 100_000]
)
def test_a_corrupt_index_is_made_again(site: Site, tmp_path: Path, body: bytes) -> None:
    """
    A full disk or a killed process may have left anything there.
    """
    site.install("lash-boom")
    found("lash-boom")
    (index,) = stamps(tmp_path / "cache")
    whole = index.read_bytes()
    index.write_bytes(body)

    assert found("lash-boom") is not None
    assert whole == index.read_bytes()


@pytest.mark.parametrize("rows", [[{}], [3], [{"name": 1}], {"a": 1}, 7, [{"unknown": "x"}]])
def test_an_index_of_another_form_is_made_again(site: Site, tmp_path: Path, rows: Any) -> None:
    """
    Another version of the SDK may have written it.
    """
    site.install("lash-boom")
    found("lash-boom")
    (index,) = stamps(tmp_path / "cache")
    body = json.loads(index.read_text())
    index.write_text(json.dumps({**body, "plugins": rows}))

    assert found("lash-boom") is not None


def test_a_cache_that_cannot_be_written_is_no_error(site: Site, tmp_path: Path) -> None:
    """
    A container's file system may be read-only; here the folder is a file.
    """
    (tmp_path / "cache").write_text("in the way")
    site.install("lash-boom")

    assert found("lash-boom") is not None
    assert "in the way" == (tmp_path / "cache").read_text()


def test_a_user_without_a_home_has_no_index(site: Site) -> None:
    """
    Containers run under numbers that no user has.
    """
    site.install("lash-boom")
    code = """
    import os
    import pathlib
    for name in ("HOME", "LASH_CACHE", "XDG_CACHE_HOME"):
        os.environ.pop(name, None)
    def nobody():
        raise RuntimeError("Could not determine home directory.")
    pathlib.Path.home = nobody
    from lash_sdk.plugins.discovery import installed
    print("lash-boom" in [found.name for found in installed()])
    """
    done = warm(site, code)

    assert "True\n" == done.stdout, done.stderr


def test_the_cache_is_where_the_user_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Ours first, then the desktop's convention, then the home folder.
    """
    monkeypatch.setenv("LASH_CACHE", "/a")
    monkeypatch.setenv("XDG_CACHE_HOME", "/b")
    monkeypatch.setenv("HOME", "/c")
    found = [cache_folder()]
    monkeypatch.delenv("LASH_CACHE")
    found.append(cache_folder())
    monkeypatch.delenv("XDG_CACHE_HOME")
    found.append(cache_folder())

    assert [Path("/a"), Path("/b/lash"), Path("/c/.cache/lash")] == found


# --- who takes part ---------------------------------------------------------------------


def names(explicit: list[object], **config: Any) -> set[str]:
    loaded, _broken = gather(explicit, autoload=True, config=config)
    return {each.name for each in loaded}


def test_an_installed_plugin_takes_part(site: Site) -> None:
    """
    Install a package and it works.
    """
    site.install("lash-here", module="lash_here")
    loaded, _broken = gather([], autoload=True, config={})
    (each,) = [each for each in loaded if each.name == "lash-here"]

    assert ("1.0", "lash-here 1.0") == (each.version, each.source)
    assert "lash-here" not in names_without_autoload()


def names_without_autoload() -> set[str]:
    loaded, _broken = gather([], autoload=False, config={})
    return {each.name for each in loaded}


@pytest.mark.parametrize("how", ["config", "environment", "environment with blanks"])
def test_a_disabled_plugin_is_never_imported(
    site: Site, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Turning one off must help even if importing it breaks everything.
    """
    site.install("lash-boom", code=TELLS)
    config: dict[str, Any] = {}
    if how == "config":
        config = {"plugins": {"disable": ["lash-boom"]}}
    else:
        blank = " " if "blanks" in how else ""
        monkeypatch.setenv("LASH_DISABLE_PLUGINS", f"other,{blank}lash-boom{blank}")
    loaded, broken = gather([], autoload=True, config=config)
    (row,) = [row for row in broken if row.found.name == "lash-boom"]

    assert [] == site.imported
    assert ("disabled", "disabled by configuration") == (row.stage, row.cause)
    assert "lash-boom" not in {each.name for each in loaded}


def test_disabling_takes_names_from_both_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The environment adds to the file; it doesn't replace it.
    """
    monkeypatch.setenv("LASH_DISABLE_PLUGINS", "a,,b")

    assert {"a", "b", "c"} == disabled({"disable": ["c"]})
    assert {"a", "b"} == disabled(None) == disabled({"disable": 3})


@pytest.mark.parametrize("how", ["config", "environment"])
def test_where_some_are_allowed_alone_the_others_are_never_imported(
    site: Site, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A deployment names what it trusts; what's installed beside it stays asleep.
    """
    site.install("lash-boom", code=TELLS)
    site.install("lash-trusted", module="lash_trusted")
    config: dict[str, Any] = {}
    if how == "config":
        config = {"plugins": {"only": ["lash-trusted"]}}
    else:
        monkeypatch.setenv("LASH_ONLY_PLUGINS", "lash-trusted")
    loaded, _broken = gather([], autoload=True, config=config)

    assert [] == site.imported
    assert {"lash-trusted", "standard"} == {each.name for each in loaded}


def test_an_incompatible_plugin_is_never_imported(site: Site) -> None:
    """
    Its row says what it needs, what this is, and what to try.
    """
    site.install("lash-boom", requires="lash-sdk>=9", code=TELLS)
    _loaded, broken = gather([], autoload=True, config={})
    (row,) = [row for row in broken if row.found.name == "lash-boom"]

    assert [] == site.imported
    assert "incompatible" == row.stage
    needs = f"needs lash-sdk >=9, this is {SDK_VERSION}; try: pip install --upgrade lash-boom"
    assert needs == row.cause


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        (EXPLODES, "RuntimeError: imported"),
        ("import nothing_of_this_name\n", "ModuleNotFoundError"),
        ("def (:\n", "SyntaxError"),
        ("raise SystemExit(2)\n", "SystemExit: 2"),
        ("other = 1\n", "AttributeError"),
        ("Made = 3\n", "InvalidInput: expected a Plugin class"),
    ],
)
def test_a_plugin_that_cannot_be_imported_is_a_row_and_no_crash(
    site: Site, code: str, cause: str
) -> None:
    """
    The others take part all the same.
    """
    module = f"lash_boom_{abs(hash(code)) % 10**8}"
    site.install("lash-boom", module=module, code=code)
    site.install("lash-alive", module="lash_alive")
    loaded, broken = gather([], autoload=True, config={})
    (row,) = [row for row in broken if row.found.name == "lash-boom"]

    assert "import" == row.stage
    assert cause in row.cause
    assert "lash-alive" in {each.name for each in loaded}


async def test_plugins_are_imported_off_the_loop_and_once(site: Site) -> None:
    """
    A second of imports must not be a second in which nobody is served.
    """
    tells = """
    import pathlib, threading
    on_loop = threading.current_thread() is threading.main_thread()
    path = pathlib.Path(__file__).with_name("by")
    path.write_text((path.read_text() if path.exists() else "") + str(on_loop))
    """
    code = textwrap.dedent(tells) + FINE
    site.install("lash-apart", module="lash_apart", code=code)
    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(opened_and_closed())

    assert "False" == (site.folder / "by").read_text()


async def opened_and_closed() -> None:
    async with Lash() as lash:
        assert "lash-apart" in {each.name for each in lash.plugins}


async def test_a_broken_plugins_section_of_the_configuration_waits(site: Site) -> None:
    """
    The section isn't unknown: its plugin is there, and just can't be asked.
    """
    site.install("lash-boom", code=EXPLODES)
    async with Lash(config={"lash-boom": {"units": "C"}}) as lash:
        assert "lash-boom" in {row.found.name for row in lash.broken}


async def test_a_scheme_of_a_broken_plugin_says_what_is_wrong_with_it(site: Site) -> None:
    """
    "Install it" would be no help where it's installed and broken.
    """
    site.install("lash-boom", entry="boom", code=EXPLODES)
    with pytest.raises(Unavailable, match=r"lash-boom is installed but import failed: Runtime"):
        async with Lash(store="boom:x"):
            pass
    with pytest.raises(Unavailable, match=r"lash-boom is installed but disabled"):
        async with Lash(store="boom:x", config={"plugins": {"disable": ["boom"]}}):
            pass


# --- one name, two plugins ------------------------------------------------------------------


def test_two_installed_plugins_of_one_name_are_an_error_that_tells_all(site: Site) -> None:
    """
    Both distributions, versions and places, and the line that resolves it.
    """
    one = site.install("lash-one", version="1.1", entry="clash", code=EXPLODES)
    two = site.install("lash-two", version="2.2", entry="clash", code=EXPLODES)
    with pytest.raises(PluginConflict) as caught:
        gather([], autoload=True, config={})
    text = str(caught.value)

    for word in ("'clash'", "lash-one 1.1", str(one), "lash-two 2.2", str(two)):
        assert word in text
    assert 'config={"plugins": {"disable": ["clash"]}}' in text
    assert "lash_one" not in sys.modules


def test_the_way_out_that_a_clash_names_is_one(site: Site) -> None:
    """
    Disabling the name helps, and so does handing over the right one.
    """
    site.install("lash-one", entry="clash", code=EXPLODES)
    site.install("lash-two", entry="clash", code=EXPLODES)
    _loaded, broken = gather([], autoload=True, config={"plugins": {"disable": ["clash"]}})
    mine: type[Plugin] = plugin("clash")
    loaded, _broken = gather([mine], autoload=True, config={})

    assert {"lash-one", "lash-two"} == {row.found.dist for row in broken if row.stage == "disabled"}
    assert [mine] == [each.thing for each in loaded if each.name == "clash"]


def test_an_explicit_plugin_replaces_an_installed_one_of_its_name(site: Site) -> None:
    """
    The application's word counts; the other isn't even imported.
    """
    site.install("lash-boom", code=TELLS)
    mine = plugin("lash-boom")
    loaded, broken = gather([mine], autoload=True, config={})

    assert [mine] == [each.thing for each in loaded if each.name == "lash-boom"]
    assert "lash-boom" not in {row.found.name for row in broken}
    assert [] == site.imported


def test_the_kernels_own_defaults_can_be_replaced_by_name() -> None:
    """
    They register like anyone's.
    """
    mine = plugin("standard")
    loaded, _broken = gather([mine], autoload=False, config={})

    assert [mine] == [each.thing for each in loaded if each.name == "standard"]


def test_a_plugin_handed_over_and_installed_takes_part_once(site: Site) -> None:
    """
    `plugins=[Weather]` beside the installed `lash-weather` is no clash.
    """
    site.install("lash-twice", module="lash_twice")
    loaded, _broken = gather([], autoload=True, config={})
    (first,) = [each for each in loaded if each.name == "lash-twice"]
    again, _broken = gather([first.thing], autoload=True, config={})

    assert 1 == [each.thing for each in again].count(first.thing)
