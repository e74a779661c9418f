"""Models that are reached through the official OpenAI client."""
