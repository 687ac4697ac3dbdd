"""The only concurrent code: observe, apply, follow, tear down. It owns when; core owns what."""
