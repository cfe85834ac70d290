"""Trained models on disk: written whole, believed only when everything fits, one of them promoted."""
