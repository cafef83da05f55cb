"""What is measured on an answer."""
