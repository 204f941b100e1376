"""Development PKI, token issuer and process stack, for the demo and the tests. Never for production."""
