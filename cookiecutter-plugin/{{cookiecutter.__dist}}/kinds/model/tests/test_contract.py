"""What every model must keep."""

from __future__ import annotations

import pytest
from lash_sdk.ports import Model
from lash_sdk.testing.pytest import ModelContract

from {{ cookiecutter.__module }}.model import {{ cookiecutter.__class }}Model


class Test{{ cookiecutter.__class }}Model(ModelContract):
    @pytest.fixture
    def model(self) -> Model:
        return {{ cookiecutter.__class }}Model("small")
