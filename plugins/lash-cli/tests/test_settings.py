"""Where a setting comes from, and what a file may say."""

from __future__ import annotations

import pytest

from .running import Machine, asking


def test_an_option_beats_the_environment_beats_the_files(machine: Machine) -> None:
    """Taken away one by one, the next one speaks."""
    user = machine.home / ".config" / "lash" / "config.toml"
    user.parent.mkdir(parents=True)
    for name in ("flag", "env", "project", "user"):
        machine.script(name, name=f"{name}.jsonl")
    user.write_text('model = "scripted:user.jsonl"\n')
    machine.write("lash.toml", 'model = "scripted:project.jsonl"')
    env = {"LASH_MODEL": "scripted:env.jsonl"}

    said = [machine.lash("run", "Hi", "-m", "scripted:flag.jsonl", **env).out]
    said.append(machine.lash("run", "Hi", **env).out)
    said.append(machine.lash("run", "Hi").out)
    (machine.work / "lash.toml").unlink()
    said.append(machine.lash("run", "Hi").out)

    assert ["flag\n", "env\n", "project\n", "user\n"] == said


def test_the_store_goes_by_the_same_order(machine: Machine) -> None:
    """LASH_STORE beats the file, --store beats both; the default is in the home."""
    machine.write("lash.toml", 'store = "sqlite:///file.db"')
    run = ("run", "Hi", "-m", machine.script("x"))

    machine.lash(*run, "--store", "sqlite:///flag.db", LASH_STORE="sqlite:///env.db")
    assert {"flag.db"} == {path.name for path in machine.work.glob("*.db")}
    machine.lash(*run, LASH_STORE="sqlite:///env.db")
    assert (machine.work / "env.db").exists()
    machine.lash(*run)
    assert (machine.work / "file.db").exists()
    (machine.work / "lash.toml").unlink()
    machine.lash(*run)
    assert (machine.home / ".local" / "share" / "lash" / "sessions.db").exists()


def test_data_and_configuration_follow_xdg(machine: Machine) -> None:
    """Whoever moved these folders finds everything there."""
    there = machine.home / "elsewhere"
    (there / "lash").mkdir(parents=True)
    (there / "lash" / "config.toml").write_text(f'model = "{machine.script("Moved.")}"\n')
    moved = {"XDG_CONFIG_HOME": str(there), "XDG_DATA_HOME": str(there)}

    assert machine.lash("run", "Hi", **moved).out == "Moved.\n"
    assert (there / "lash" / "sessions.db").exists()


def test_a_project_is_found_from_below(machine: Machine) -> None:
    """What it names lies beside its file, whatever the working folder."""
    machine.write("notes.py", "def note() -> str:", "    return 'written'")
    machine.write(
        "lash.toml",
        'store = "sqlite:///project.db"',
        'session = "work"',
        'instructions = "Be brief."',
        'tools = ["notes.py:note"]',
        "[limits]",
        "iterations = 5",
    )
    below = Machine(home=machine.home, work=machine.work / "a" / "b", cache=machine.cache)
    below.work.mkdir(parents=True)
    model = below.script(asking("note"), "done")

    ran = below.lash("run", "Go", "-m", model)

    assert ran.code == 0
    assert "✓ note() → written" in ran.err
    assert "session work, turn 1" in ran.err
    assert (machine.work / "project.db").exists()


def test_limits_of_both_files_are_merged(machine: Machine) -> None:
    """And --max-iterations replaces that one alone."""
    machine.write("lash.toml", "[limits]", "iterations = 1", "tokens = 1000")
    model = machine.script(asking("absent"), "Twice asked.")

    assert machine.lash("run", "Go", "-m", model).code == 1
    assert machine.lash("run", "Go", "-m", model, "--max-iterations", "2").code == 0


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("modle = 'x'", "lash.toml: unknown key 'modle' (did you mean 'model'?)"),
        ("model = 3", "lash.toml: model: expected text, found 3"),
        ("tools = 'x:y'", "lash.toml: tools: expected a list"),
        ("[limits]\niteration = 3", "limits.iteration: unknown key (did you mean 'iterations'?)"),
        ("[limits]\niterations = -1", "limits.iterations: expected a number > 0, found -1"),
        ("[limits]\niterations = true", "limits.iterations: expected a number > 0, found True"),
        ("[plugins]\ndisabel = ['x']", "did you mean 'disable'?"),
        ("[plugins]\ndisable = 'x'", "plugins.disable: expected a list of names"),
        ("[plugins.sqlit]\nx = 1", "plugins.sqlit: no such plugin (did you mean 'sqlite'?)"),
        ("[plugins.openai]\nurl = 1", "plugins.openai.url: unknown"),
        ("this is not toml", "lash.toml: "),
    ],
)
def test_a_file_that_does_not_fit_is_refused(machine: Machine, line: str, says: str) -> None:
    """Exit code 2; the message names file, key and what was meant."""
    machine.write("lash.toml", line)

    ran = machine.lash("run", "Hi", "-m", machine.script("never"))

    assert (ran.code, ran.out) == (2, "")
    assert says in ran.err


def test_every_problem_is_told_at_once(machine: Machine) -> None:
    """Nobody likes to mend a file line by line."""
    machine.write("lash.toml", "modle = 'x'", "stoer = 'y'", "session = 3")

    ran = machine.lash("run", "Hi")

    for key in ("modle", "stoer", "session"):
        assert key in ran.err
