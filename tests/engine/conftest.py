"""The engine against the sandbox, with the sandbox's clock."""

pytest_plugins = ["support.sandbox"]
