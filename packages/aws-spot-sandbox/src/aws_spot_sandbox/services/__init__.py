"""Services beside EC2, where moto's answer is not enough."""
