"""AWS. `port` says what the engine may ask of a cloud; `aws` and its siblings answer with boto3."""
