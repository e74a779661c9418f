"""
What users test with. It imports no pytest; fixtures and contracts for pytest are
in `lash_sdk.testing.pytest`.
"""

from .scripted import Reply, ScriptedModel, call, failure, load_script, reply

__all__ = ["Reply", "ScriptedModel", "call", "failure", "load_script", "reply"]
