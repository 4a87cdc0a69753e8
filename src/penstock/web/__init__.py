"""What the lesson and the HTML reports share: one style, one chart module, and how a page is put together."""
