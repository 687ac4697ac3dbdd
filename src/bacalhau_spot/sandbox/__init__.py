"""AWS's EC2 API on this machine: moto's emulation behind a layer that adds the behaviours it lacks. See docs/sandbox.md."""
