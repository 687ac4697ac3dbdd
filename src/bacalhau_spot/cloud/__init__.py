"""AWS. `port` defines the operations for the engine; `aws` and its siblings implement them with botocore."""
