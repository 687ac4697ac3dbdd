"""Usage, prices, estimates and costs."""
