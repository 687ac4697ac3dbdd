"""The rows of the verdict table, a file a class; `core.verdict` puts them together and is what the program asks."""
