"""Services other than EC2 for which moto's replies are not sufficient."""
