"""Alarm management: what operators are told, how bearable it is, and what they are spared."""
