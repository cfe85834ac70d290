"""What the API offers of any declared feed: a list of what is current, and a socket. `web.feeds.views` has both."""
