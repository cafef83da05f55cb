"""What a user types, and how it becomes settings."""
