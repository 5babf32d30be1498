"""Choosing the weights of dual inference by stored scores."""
