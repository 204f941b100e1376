"""The embedded issuer of member tokens, for agencies without an identity provider of their own."""
