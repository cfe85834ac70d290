"""Where something stands, in words: addresses from an outside service, or from places that ship with a package."""
