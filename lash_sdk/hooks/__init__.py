"""
Hooks: where plugins take part. Each hook here is a decorator, and a rule.

`specs` has every hook with its signature and docstring, `kinds` the rules by
kind, `answers` what hooks may answer with, `plugin` the class to derive from.
"""

from .answers import *
from .kinds import Hook as Hook
from .kinds import hookimpl as hookimpl
from .kinds import hookspec as hookspec
from .plugin import Plugin as Plugin
from .specs import *
