"""The tests of the kernel, one module for each of its rooms."""
