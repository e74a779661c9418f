"""`lash sessions …` and `lash usage`."""

from __future__ import annotations

import json

import pytest

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


def test_export_is_a_header_and_a_line_for_each_part(used: Machine) -> None:
    """All that an import needs: nodes in order, usage, components."""
    lines = used.lash("sessions", "export", "sums").lines
    written = used.lash("sessions", "export", "sums", "-o", "sums.jsonl")

    assert lines[0]["lash"] == "session"
    assert (lines[0]["session"], lines[0]["revision"]) == ("sums", 2)
    nodes = [line for line in lines if line.get("part") == "node"]
    assert nodes[-1]["id"] == lines[0]["leaf"]
    assert [None, *[node["id"] for node in nodes[:-1]]] == [node["parent"] for node in nodes]
    assert 2 == len([line for line in lines if line.get("part") == "usage"])
    assert (written.code, written.out) == (0, "")
    assert lines == [
        json.loads(line) for line in (used.work / "sums.jsonl").read_text().splitlines()
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
