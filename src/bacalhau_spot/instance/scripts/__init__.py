"""The programs on the node. Standard library of Python 3.9 and later, because the image's own Python runs them."""
