"""Auto Scaling groups: created, changed, followed, dissolved."""
