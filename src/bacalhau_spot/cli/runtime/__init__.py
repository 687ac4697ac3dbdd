"""What every command shares: options, context, runner, reporting."""
