"""Language models on this machine's own CPU, for lash-sdk."""
