"""The endpoints: a file for each group, and what they share."""
