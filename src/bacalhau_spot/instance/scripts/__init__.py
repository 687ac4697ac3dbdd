"""The programs on the node. They use Python 3.9's standard library only, because the image's own Python runs them."""
