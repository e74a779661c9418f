"""What every tool must keep."""

from __future__ import annotations

from typing import ClassVar

import pytest
from lash_sdk.testing.pytest import ToolContract
from lash_sdk.tools import Tool

from {{ cookiecutter.__module }}.plugin import {{ cookiecutter.__class }}


class TestGreet(ToolContract):
    arguments: ClassVar = {"name": "Ada"}

    @pytest.fixture
    def tool(self) -> Tool:
        plugin = {{ cookiecutter.__class }}()
        plugin.config, plugin.state = plugin.Config(), plugin.State()
        return plugin.greet
