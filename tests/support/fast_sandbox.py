"""Of `sandbox set`: a background sandbox, whose clock no test moves, without waits."""

FAST = ("boot_s=0.5", "pending_s=0", "latency_s=0", "checks_s=0", "terminate_s=0", "job_s=0.1")
