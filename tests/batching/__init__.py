"""The fast path: readers with plain fakes, the hooks in Faust, the changelog on a real broker."""
