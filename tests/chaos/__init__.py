"""Faults while hundreds of activations are in flight, and an account of each of them."""
