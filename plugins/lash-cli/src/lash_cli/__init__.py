"""The lash command line."""
