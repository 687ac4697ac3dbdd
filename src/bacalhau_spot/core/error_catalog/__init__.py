"""The rows of the verdict table, a file a class; `core.error_catalog.classifier` puts them together and is what the program
asks.
"""
