"""Refuses a name that couldn't be a plugin's, before anything is written."""

import keyword
import re
import sys

NAME = "{{ cookiecutter.__name }}"
WORD = "{{ cookiecutter.__word }}"
RESERVED = {
    "anthropic": "lash-model-anthropic has it",
    "cli": "lash-cli has it",
    "lash": "it's what everything is called",
    "local": "lash-model-local has it",
    "memory": "the kernel's own store has that scheme",
    "openai": "lash-model-openai has it",
    "plugins": "configuration has a section of that name for all plugins",
    "postgres": "lash-store-postgres has it",
    "postgresql": "lash-store-postgres has that scheme",
    "scripted": "the kernel's own test model has it",
    "sdk": "lash-sdk has it",
    "sessions": "lash-sessions has it",
    "sqlite": "lash-store-sqlite has it",
    "standard": "the kernel's own defaults have it",
}


def refuse(why: str) -> None:
    """Say what's wrong, and end without a project."""
    sys.exit(f"error: name {NAME!r}: {why}")


if NAME in RESERVED:
    refuse(f"{RESERVED[NAME]}; take another")
if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", NAME):
    refuse("expected letters, digits and dashes, a letter first")
if keyword.iskeyword(WORD):
    refuse("it's a word of Python")
if len(NAME) > 20:
    refuse("expected at most 20 characters")
