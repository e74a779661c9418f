"""What every store must keep."""

from __future__ import annotations

import pytest
from lash_sdk.ports import Store
from lash_sdk.testing.pytest import StoreContract

from {{ cookiecutter.__module }}.store import {{ cookiecutter.__class }}Store


class Test{{ cookiecutter.__class }}Store(StoreContract):
    @pytest.fixture
    def store(self) -> Store:
        return {{ cookiecutter.__class }}Store("test")
