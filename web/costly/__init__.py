"""Costly questions are answered by a process of their own beside a worker, behind everything else of the machine."""
