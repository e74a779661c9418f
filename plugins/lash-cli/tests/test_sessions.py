"""`lash sessions …` and `lash usage`."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing

import psycopg
import pytest

from lash_cli.failures import STORE
from lash_store_postgres.address import Address
from tests.batteries.postgres_server import shared

from .running import Machine, asking

QUESTION = "How much is 17 times 23?"


@pytest.fixture
def used(machine: Machine) -> Machine:
    """Return a machine with two sessions, `sums` of two turns and `other`."""
    tool = ("--tool", "lash_cli.tools:calculate")
    model = machine.script(asking("calculate", expression="17 * 23"), "391")
    assert machine.lash("run", QUESTION, "-m", model, "-s", "sums", *tool).code == 0
    failing = machine.script({"error": {"message": "gone", "code": "network"}})
    assert machine.lash("run", "Again?", "-m", failing, "-s", "sums").code == 1
    assert machine.lash("run", "Hi", "-m", machine.script("Ho"), "-s", "other").code == 0
    return machine


def test_list_has_the_newest_first(used: Machine) -> None:
    """As a table, and for a machine."""
    table = used.lash("sessions", "list").out.splitlines()
    rows = used.lash("sessions", "list", "--json").body

    assert ["session", "other", "sums"] == [line.split()[0] for line in table]
    assert [("other", 1), ("sums", 2)] == [(row["id"], row["turns"]) for row in rows]
    assert 1 == len(used.lash("sessions", "list", "--json", "--limit", "1").body)
    assert 1 == len(used.lash("sessions", "list", "--json", "--prefix", "su").body)


def test_show_tells_the_conversation(used: Machine) -> None:
    """Turns with their ends, calls with what came of them."""
    said = used.lash("sessions", "show", "sums").out

    wanted = (
        "── turn 1",
        f"user: {QUESTION}",
        '✓ calculate(expression="17 * 23") → 391',
        "assistant: 391",
        "── finished",
        "── turn 2",
        "user: Again?",
        "── stopped (provider_error): gone",
    )
    places = [said.find(piece) for piece in wanted]
    assert -1 not in places
    assert places == sorted(places)


def test_show_for_a_machine(used: Machine) -> None:
    """The nodes as they're stored, by turn."""
    turns = used.lash("sessions", "show", "sums", "--json").body

    kinds = ["message", "message", "tool", "message", "message", "turn"]
    assert kinds == [node["kind"] for node in turns[0]["nodes"]]
    assert turns[1]["ending"]["outcome"]["kind"] == "stopped"


def test_tree_marks_where_the_session_stands(used: Machine) -> None:
    """One line a turn."""
    lines = used.lash("sessions", "tree", "sums").out.splitlines()
    rows = used.lash("sessions", "tree", "sums", "--json").body

    assert [True, False] == [QUESTION in line for line in lines]
    assert ["│", "*"] == [line[0] for line in lines]
    assert [None, rows[0]["turn"]] == [row["parent"] for row in rows]


def test_a_fork_goes_on_from_the_same_history(used: Machine) -> None:
    """Up to the head, or up to a node; the origin stays as it is."""
    turns = used.lash("sessions", "tree", "sums", "--json").body
    whole = used.lash("sessions", "fork", "sums", "--as", "copy")
    early = used.lash("sessions", "fork", "sums", "--at", turns[0]["leaf"], "--json").body

    assert (0, "copy\n") == (whole.code, whole.out)
    assert 2 == len(used.lash("sessions", "show", "copy", "--json").body)
    assert 1 == len(used.lash("sessions", "show", early["session"], "--json").body)
    assert ("sums", 1, turns[0]["leaf"]) == (early["forked_from"], early["revision"], early["leaf"])
    assert 2 == used.lash("sessions", "list", "--json", "--prefix", "sums").body[-1]["turns"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("nobody",), "no session 'nobody'"),
        (("sums", "--as", "other"), "session 'other' exists already"),
        (("sums", "--at", "nowhere:1"), "no node 'nowhere:1'"),
    ],
)
def test_a_fork_that_cannot_be(used: Machine, words: tuple[str, ...], says: str) -> None:
    """Each with its way out."""
    ran = used.lash("sessions", "fork", *words)

    assert 2 == ran.code
    assert f"error: {says}" in ran.err
    assert "\ntry: " in ran.err


# --- export and import ---------------------------------------------------------


def test_export_is_a_header_and_a_line_for_each_part(used: Machine) -> None:
    """All that an import needs: nodes in order, usage, state, and the hash of it."""
    lines = used.lash("sessions", "export", "sums").lines
    written = used.lash("sessions", "export", "sums", "-o", "sums.jsonl")

    assert lines[0]["lash"] == "session"
    assert (lines[0]["session"], lines[0]["revision"]) == ("sums", 2)
    nodes = [line for line in lines if line.get("part") == "node"]
    assert nodes[-1]["id"] == lines[0]["leaf"]
    assert [None, *[node["id"] for node in nodes[:-1]]] == [node["parent"] for node in nodes]
    assert 2 == len([line for line in lines if line.get("part") == "usage"])
    assert [1, 2] == [line["revision"] for line in lines if line.get("part") == "commit"]
    assert ("end", len(lines) - 1) == (lines[-1]["part"], lines[-1]["lines"])
    assert (written.code, written.out) == (0, "")
    assert lines == [
        json.loads(line) for line in (used.work / "sums.jsonl").read_text().splitlines()
    ]


@pytest.mark.parametrize(
    "command",
    [("list",), ("show", "sums"), ("tree", "sums"), ("export", "sums"), ("verify",)],
    ids=" ".join,
)
def test_looking_at_a_store_that_is_not_there_makes_none(
    used: Machine, command: tuple[str, ...]
) -> None:
    """A mistyped path would else be a new, empty file, and look like lost sessions."""
    ran = used.lash("sessions", *command, "--store", "sqlite:///mistyped.db")

    assert (STORE, "") == (ran.code, ran.out)
    assert "error: there's no store at 'mistyped.db'\ntry: the --store of one" in ran.err
    assert not (used.work / "mistyped.db").exists()


@pytest.mark.parametrize(
    "command",
    [("sessions", "list"), ("sessions", "show", "x"), ("sessions", "export", "x"), ("resume", "x")],
    ids=" ".join,
)
def test_looking_at_a_schema_that_is_not_there_makes_none(
    machine: Machine, pytestconfig: pytest.Config, command: tuple[str, ...]
) -> None:
    """On a server a mistyped schema would stay, for others to wonder about."""
    url = shared(pytestconfig).schema()
    schema = Address(url).schema
    ran = machine.lash(*command, "--store", url)
    with psycopg.connect(Address(url).conninfo) as db:
        made = db.execute("select 1 from pg_namespace where nspname = %s", [schema]).fetchone()

    assert (STORE, "", None) == (ran.code, ran.out, made)
    assert f"?schema={schema}: there's no store in schema {schema!r}\ntry: the --store" in ran.err


def test_a_turn_makes_the_schema_that_it_needs(
    machine: Machine, pytestconfig: pytest.Config
) -> None:
    """As it makes a SQLite file: the first turn is where a store begins."""
    store = ("--store", shared(pytestconfig).schema())
    ran = machine.lash("run", "Go", "-m", machine.script("done"), "-s", "x", *store)
    listed = machine.lash("sessions", "list", "--json", *store)

    assert (0, "done\n") == (ran.code, ran.out)
    assert ["x"] == [row["id"] for row in listed.body]


def test_another_store_reads_an_export_back(used: Machine) -> None:
    """Everything is as it was, and the session goes on there; a third store too."""
    exported = used.lash("sessions", "export", "sums").out
    store = ("--store", "sqlite:///other.db")
    ran = used.lash("sessions", "import", "-", *store, "--json", stdin=exported)

    assert (0, {"session": "sums", "revision": 2, "nodes": 8}) == (ran.code, ran.body)
    assert exported == used.lash("sessions", "export", "sums", *store).out
    for command in (("sessions", "show", "sums"), ("usage", "-s", "sums")):
        assert used.lash(*command).out == used.lash(*command, *store).out
    model = used.script("391 still")
    assert "391 still\n" == used.lash("run", "And now?", "-m", model, "-s", "sums", *store).out
    again = used.lash("sessions", "export", "sums", *store).out
    third = ("--store", "sqlite:///third.db")
    assert 0 == used.lash("sessions", "import", "-", *third, stdin=again).code
    assert again == used.lash("sessions", "export", "sums", *third).out


def test_all_that_a_session_can_have_comes_along(used: Machine) -> None:
    """Branches, settings, plugin and tool state, pictures, input that waits, a fork's past."""
    used.write("fill.py", *FILL.splitlines())
    made = subprocess.run(
        [sys.executable, "fill.py"],
        cwd=used.work,
        env=used.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "" == made.stderr
    here, there = ("--store", "sqlite:///rich.db"), ("--store", "sqlite:///copy.db")
    for id in ("rich", "fork"):
        exported = used.lash("sessions", "export", id, *here).out
        ran = used.lash("sessions", "import", "-", *there, stdin=exported)
        if id == "fork":  # its nodes came with the session that it was forked from
            assert 2 == ran.code and "is there already" in ran.err
            there = ("--store", "sqlite:///alone.db")
            assert 0 == used.lash("sessions", "import", "-", *there, stdin=exported).code
        tell = [json.loads(line) for line in exported.splitlines()]
        told = used.lash("sessions", "export", id, *there).lines
        for line in (tell[0], told[0]):
            line.pop("forked_from")
        assert tell[0] == told[0]
        kept = {"node", "usage", "component", "blob", "inbox"}
        assert [line for line in tell if line.get("part") in kept] == [
            line for line in told if line.get("part") in kept
        ]
        assert kept <= {line.get("part") for line in tell} or id == "fork"
        assert 0 == used.lash("sessions", "verify", *there).code


FILL = """
import asyncio
from lash_sdk import Lash, Plugin, hooks, tool
from lash_sdk.messages import Image, user
from lash_sdk.testing import ScriptedModel, call, reply
from pydantic import BaseModel, ConfigDict

class Counter(Plugin):
    class State(BaseModel):
        model_config = ConfigDict(frozen=True)
        n: int = 0

    @hooks.after_turn
    async def count(self, ctx):
        self.state = self.State(n=self.state.n + 1)

@tool
async def draw() -> Image:
    "Draw."
    return Image.of(b"pixel", "image/png")

async def main():
    model = ScriptedModel([reply(calls=[call("draw")]), "a", "b", "c"])
    options = dict(store="sqlite:///rich.db", plugins=[Counter], tools=[draw])
    async with Lash(model=model, **options) as lash:
        session = await lash.session("rich")
        await session.run([Image.of(b"picture", "image/png")])
        first = session.graph.leaf
        await session.run("2")
        await session.hide("draw")
        await session.configure(instructions="Be brief.")
        await session.checkout(first)
        await session.run("3")
        await session.append([user("by the way")])
        await session.enqueue("later", key="k")
        await session.fork(id="fork", at=first)

asyncio.run(main())
"""


def test_a_session_that_is_there_is_never_written_over(used: Machine) -> None:
    """Not even by itself; one that was deleted stays so."""
    exported = used.lash("sessions", "export", "sums").out
    ran = used.lash("sessions", "import", "-", stdin=exported)
    used.lash("sessions", "delete", "other", "--yes")
    other = exported.replace('"sums"', '"other"')

    assert 2 == ran.code and "error: session 'sums' exists already" in ran.err
    assert "delete" not in ran.err  # that would keep it out of this store for good
    assert 2 == used.lash("sessions", "import", "-", stdin=other).code
    assert exported == used.lash("sessions", "export", "sums").out


def test_a_fork_is_not_imported_beside_its_origin(used: Machine) -> None:
    """They share nodes, and those belong to one of the two: say so, and write nothing."""
    used.lash("sessions", "fork", "sums", "--as", "copy")
    used.write("copy.jsonl", used.lash("sessions", "export", "copy").out.rstrip())
    used.write("sums.jsonl", used.lash("sessions", "export", "sums").out.rstrip())
    there = ("--store", "sqlite:///there.db")
    used.lash("sessions", "import", "sums.jsonl", *there)
    ran = used.lash("sessions", "import", "copy.jsonl", *there)

    assert 2 == ran.code
    assert "error: session 'copy' shares history with another session of that store" in ran.err
    assert "try: another --store for it" in ran.err
    listed = used.lash("sessions", "list", "--json", *there).body
    assert ["sums"] == [each["id"] for each in listed]


def test_an_import_that_was_cut_short_is_gone_on_with(used: Machine) -> None:
    """By the same command: what's there already is the beginning of the file."""
    exported = used.lash("sessions", "export", "sums").out
    (used.work / "cut.py").write_text(CUT)
    (used.work / "sums.jsonl").write_text(exported)
    subprocess.run([sys.executable, "cut.py"], cwd=used.work, env=used.environment, check=True)
    store = ("--store", "sqlite:///cut.db")
    assert 1 == used.lash("sessions", "list", "--json", *store).body[0]["revision"]

    assert 0 == used.lash("sessions", "import", "sums.jsonl", *store).code
    assert exported == used.lash("sessions", "export", "sums", *store).out


CUT = """
import asyncio
from pathlib import Path
from lash_cli.archive import read
from lash_store_sqlite import SqliteStore

async def main():
    store = SqliteStore("cut.db")
    await store.open()
    lines = Path("sums.jsonl").read_text().splitlines()
    await store.commit(read(lines).commits[0])
    await store.close()

asyncio.run(main())
"""


def damaged(exported: str) -> dict[str, str]:
    """Return exports that aren't whole any more, by what was done to them."""
    lines = exported.splitlines()
    last = len(lines) - 1

    def joined(kept: list[str]) -> str:
        return "\n".join(kept) + "\n"

    return {
        "nothing": "",
        "no JSON": "nonsense\n",
        "something else": '{"a": 1}\n',
        "a later format": exported.replace('"format":2', '"format":3'),
        "cut short": joined(lines[:last]),
        "cut in a line": exported[:-20],
        "a line is missing": joined(lines[:3] + lines[4:]),
        "a line twice": joined(lines[:4] + lines[3:]),
        "two lines swapped": joined([*lines[:3], lines[4], lines[3], *lines[5:]]),
        "one word changed": exported.replace("17 times 23", "17 times 32"),
        "more at the end": exported + lines[1] + "\n",
    }


def test_an_export_that_is_not_whole_is_refused(used: Machine) -> None:
    """Before anything of it is written."""
    exported = used.lash("sessions", "export", "sums").out
    store = ("--store", "sqlite:///other.db")
    for what, text in damaged(exported).items():
        ran = used.lash("sessions", "import", "-", *store, stdin=text)

        assert (what, 2) == (what, ran.code)
        assert "error: line " in ran.err
        assert "try: a file that lash sessions export wrote" in ran.err
    assert not (used.work / "other.db").exists()
    assert 2 == used.lash("sessions", "import", "nowhere.jsonl").code


def test_verify_reads_everything(used: Machine) -> None:
    """A changed word is found and named; what's before it can be saved, others are whole."""
    whole = used.lash("sessions", "verify", "--json")
    path = used.home / ".local/share/lash/sessions.db"
    with closing(sqlite3.connect(path)) as db, db:
        changed = "cast(replace(body, 'Again?', 'Other?') as blob)"
        where = "where instr(body, 'Again?')"
        assert 1 == db.execute(f"update nodes set body = {changed} {where}").rowcount
    broken = used.lash("sessions", "verify", "--json")
    one = used.lash("sessions", "verify", "other")

    assert (0, ["", ""]) == (whole.code, [each["problem"] for each in whole.body])
    found = {each["session"]: each["problem"] for each in broken.body}
    assert (4, "") == (broken.code, found["other"])
    assert "isn't what was stored" in found["sums"]
    assert (0, True) == (one.code, one.out.rstrip().endswith("whole"))
    assert 4 == used.lash("sessions", "verify", "nobody").code

    saved = used.lash("sessions", "export", "sums", "-o", "saved.jsonl")
    store = ("--store", "sqlite:///saved.db")
    assert 4 == saved.code and "what's before it was exported" in saved.err
    assert 0 == used.lash("sessions", "import", "saved.jsonl", *store).code
    assert [QUESTION] == [
        turn["ask"] for turn in used.lash("sessions", "tree", "sums", *store, "--json").body
    ]


def test_delete_asks_first(used: Machine) -> None:
    """Nobody at the keyboard means no; the id is never used again."""
    asked = used.lash("sessions", "delete", "sums")
    refused = used.lash("sessions", "delete", "sums", stdin="n\n")
    kept = used.lash("sessions", "show", "sums")
    done = used.lash("sessions", "delete", "sums", stdin="y\n")
    again = used.lash("run", "Hi", "-m", used.script("x"), "-s", "sums")

    assert "delete session 'sums' with 2 turns for good? [y/N]" in asked.err
    assert [1, 1, 0, 0] == [asked.code, refused.code, kept.code, done.code]
    assert again.code == 2
    assert "was deleted" in again.err
    assert used.lash("sessions", "delete", "other", "--yes").code == 0
    assert [] == used.lash("sessions", "list", "--json").body


def test_usage_sums_by_session_and_model(used: Machine) -> None:
    """One session, or every one with a total."""
    one = used.lash("usage", "--session", "sums", "--json").body
    every = used.lash("usage").out.splitlines()

    assert {"sums": 30} == {id: report["total"] for id, report in one.items()}
    assert every[0].split()[0] == "session"
    assert ["total", "30", "0", "15", "45"] == every[-1].split()


def test_output_that_nobody_reads_is_no_crash(used: Machine) -> None:
    """As in `lash sessions export … | head -1`: it ends, and says nothing."""
    process = used.start("sessions", "export", "sums")
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()

    assert process.wait(30) == 1
    assert said == ""


def test_a_changed_export_is_told_in_words(used: Machine) -> None:
    """The user mends a file, not a `ValueError`."""
    exported = used.lash("sessions", "export", "sums").out.replace("17", "18")
    store = ("--store", "sqlite:///changed.db")

    ran = used.lash("sessions", "import", "-", *store, stdin=exported)

    assert 2 == ran.code
    assert "the file was changed since its export" in ran.err
    assert "ValueError" not in ran.err
