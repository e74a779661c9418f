"""Durable LLM-agent sessions, in which everything but a small kernel is a plugin."""
