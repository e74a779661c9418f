"""The SDK's own fixtures: `lash`, `session`, `scripted_model` and more."""

pytest_plugins = ("lash_sdk.testing.pytest",)
