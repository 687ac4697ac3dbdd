"""Auto Scaling groups: their state, their steps in a plan, and the reasons of refused launches."""
