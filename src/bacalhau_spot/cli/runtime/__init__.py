"""Shared by all commands: options, context, runner, reporting."""
