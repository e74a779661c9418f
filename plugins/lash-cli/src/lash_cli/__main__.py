"""`python -m lash_cli` is `lash`."""

from .main import run

run()
