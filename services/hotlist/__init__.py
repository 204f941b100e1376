"""``hotlist``: plates that are looked for, matching, and hits that a person verifies. See README.md."""
