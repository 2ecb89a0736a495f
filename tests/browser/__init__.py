"""The pages in a real Chromium, against real servers."""
