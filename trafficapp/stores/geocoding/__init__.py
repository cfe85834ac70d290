"""Addresses in the stores: answers that are known, whose turn it is to ask, rows that lack an address."""
