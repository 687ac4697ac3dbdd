"""EC2's API: the actions and checks that moto lacks or implements differently from AWS."""
