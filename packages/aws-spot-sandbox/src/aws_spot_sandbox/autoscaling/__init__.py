"""Auto Scaling groups on the sandbox's own instances, pools, prices, quotas and clock."""
