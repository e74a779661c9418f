"""For tests of applications, plugins, stores and models; imports no pytest."""
